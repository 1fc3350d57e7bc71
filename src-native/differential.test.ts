/**
 * The native data path against the twin: the same random tables, packets and changes, in the same order, must give the
 * same datagrams, packets, events and counters, byte for byte. `PINTAIL_SEED=N` repeats a run.
 */
import { expect, test } from 'vitest'
import { BothSides, nativeKinds, type Seen, seed } from './both-sides.contract-suite.ts'
import { clock, endKinds } from './ends.contract-suite.ts'
import { RandomWorld } from './random-world.contract-suite.ts'

const PACKETS = 120_000
/** The generator is only worth something if it reaches every verdict. */
const REACHED = [
  ...['acl', 'destination', 'multicast', 'link_local_unicast', 'unknown_protocol'].map((verdict) => `in-${verdict}`),
  'in-source',
  'in-decrypt',
  'in-replay-seen',
  'in-replay-old',
  'in-ip-header',
  'in-keypair-expired',
  'in-short',
  'in-unknown-index',
  'out-no-path',
  'out-no-route',
  'out-tsmp',
  'out-multicast',
  'out-too_short',
  'in-own-disco',
  'out-own-disco',
  'in-via-fragment',
  'in-via-unsupported',
  'in-via-target',
  'in-via-conflict',
  'out-via-fragment',
  'out-via-options',
]
const HEARD = ['activity', 'confirmed', 'datagram', 'echoReply', 'local', 'noSession', 'toRelay', 'tsmp']

test.skipIf(nativeKinds.length === 0).each(nativeKinds.length > 0 ? nativeKinds : endKinds())(
  `$name: ${PACKETS} random packets between changes of tables (seed ${seed})`,
  async (kind) => {
    clock.nowMs = 1_000
    const world = new RandomWorld(await BothSides.open(kind))
    const { dice } = world
    const heard = new Set<string>()
    const drops = new Set<string>()
    const flows = { answered: 0, forgotten: 0 }
    const note = (seen: Seen) => {
      for (const reason of Object.keys(seen.drops)) drops.add(reason)
      for (const event of seen.events) heard.add(event.kind)
    }
    while (world.packets < PACKETS) {
      if (dice.chance(70)) world.renewSessions()
      for (let n = dice.below(4); n > 0; n--) world.change()
      for (let n = 1 + dice.below(60); n > 0; n--) world.packet()
      note(await world.compare())
      if (!dice.chance(1)) continue
      world.renewSessions()
      const { answered, forgotten } = await world.flows()
      flows.answered += answered
      flows.forgotten += forgotten
    }
    expect([...drops]).toEqual(expect.arrayContaining(REACHED))
    expect([...heard].sort()).toEqual(HEARD)
    expect(flows.answered).toBeGreaterThan(1_000)
    expect(flows.forgotten).toBeGreaterThan(500)
    await world.both.close()
  },
  120_000,
)
