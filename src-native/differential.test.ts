/**
 * The native data path against the twin: the same random tables, packets and changes, in the same order, must give the
 * same datagrams, packets, events and counters, byte for byte. `PINTAIL_SEED=N` repeats a run.
 */
import { expect, test } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { nodeAead } from './aead.ts'
import type { DoorEvent, Keypair, PeerTable } from './door.ts'
import { clock, type End, endKinds } from './ends.contract-suite.ts'
import { paddedLength, TransportKeys } from './keypairs.ts'
import {
  Dice,
  OWN_DISCO,
  OWN_V4,
  OWN_V6,
  PEERS_V4,
  PEERS_V6,
  randomPacket,
  randomPrefixes,
  randomTable,
  randomViaPacket,
  SEEN_V4,
  SEEN_V6,
} from './random-packets.contract-suite.ts'

const PACKETS = 120_000
const MTU_BYTES = 1280
const addressOf = (peer: number) => `192.0.2.${peer + 1}:41641` as IpPort

interface Side extends End {
  readonly events: DoorEvent[]
}

/** Everything that can be seen from outside since the last look, as text. */
function look(side: Side): string {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const text = ([name, value]: [string, unknown]) => `${name}=${value instanceof Uint8Array ? hex(value) : value}`
  const events = side.events.splice(0).map((event) => Object.entries(event).map(text).join(' '))
  const { drops, peers } = side.path.stats()
  return [
    ...byDestination(side.sent.splice(0)).map(({ to, bytes }) => `sent ${to} ${hex(bytes)}`),
    ...side.written.splice(0).map((bytes) => `written ${hex(bytes)}`),
    ...events,
    `drops ${JSON.stringify(Object.entries(drops).sort())}`,
    `peers ${JSON.stringify([...peers].sort(([a], [b]) => a - b))}`,
  ].join('\n')
}

/** What leaves in one turn may leave in any order, except to one address. */
function byDestination(sent: End['sent']): End['sent'] {
  return sent.sort((a, b) => (a.to < b.to ? -1 : a.to > b.to ? 1 : 0))
}

const key = (n: number) => new Uint8Array(32).fill(n)
const keypair = (peer: number): Keypair => ({
  peer,
  localIndex: 100 + peer,
  remoteIndex: 200 + peer,
  sendKey: key(10 + peer),
  receiveKey: key(20 + peer),
  slot: 'current',
})

const natives = endKinds().filter(({ name }) => name !== 'twin')
const seed = Number(process.env.PINTAIL_SEED ?? Math.floor(Math.random() * 2 ** 31))

test.skipIf(natives.length === 0)(
  `${PACKETS} random packets between changes of tables (seed ${seed})`,
  async () => {
    clock.nowMs = 1_000
    const dice = new Dice(seed)
    const kinds = [endKinds()[0]!, natives[0]!]
    const sides: Side[] = []
    for (const kind of kinds) {
      const events: DoorEvent[] = []
      sides.push(Object.assign(await kind.open((batch) => events.push(...batch), { hasHost: true }), { events }))
    }
    const each = (act: (side: Side) => void) => sides.forEach(act)

    const peerTable = (peer: number): PeerTable => ({
      peer,
      allowedIps: [`${PEERS_V4[peer]}/32`, `${PEERS_V6[peer]}/128`, ...(dice.chance(40) ? randomPrefixes(dice) : [])],
      jailed: dice.chance(15),
      masquerade: dice.chance(30) ? { v4: SEEN_V4, v6: SEEN_V6 } : undefined,
    })
    each(({ path }) => path.setOwnAddresses({ v4: OWN_V4, v6: OWN_V6 }))
    each(({ path }) => path.setOwnDisco(OWN_DISCO))
    const sealers: TransportKeys[] = []
    for (let peer = 0; peer < PEERS_V4.length; peer++) {
      const table = peerTable(peer)
      each(({ path }) => {
        path.setPeer(table)
        path.addKeypair(keypair(peer))
        path.setDestination(peer, { udp: addressOf(peer), relay: peer === 2 })
      })
      const { localIndex, remoteIndex, sendKey, receiveKey, ...rest } = keypair(peer)
      const other = { localIndex: remoteIndex, remoteIndex: localIndex, sendKey: receiveKey, receiveKey: sendKey }
      sealers.push(new TransportKeys({ ...rest, ...other }, 0, nodeAead.create))
    }

    const change = () => {
      const peer = dice.below(PEERS_V4.length)
      switch (dice.below(7)) {
        case 0:
        case 1: {
          const table = randomTable(dice)
          each(({ path }) => path.setFilter(table))
          break
        }
        case 2:
        case 3: {
          const table = peerTable(peer)
          each(({ path }) => path.setPeer(table))
          break
        }
        case 4: {
          const services = dice.some([OWN_V4, OWN_V6, PEERS_V4[0]!, '100.100.100.100'], 2)
          each(({ path }) => path.setLocalService(services))
          break
        }
        case 5: {
          const identifier = dice.chance(70) ? 77 : 78
          each(({ path }) => path.expectEcho(identifier))
          break
        }
        default:
          clock.nowMs += dice.below(300)
      }
    }
    const packet = () => {
      const peer = dice.below(PEERS_V4.length)
      const way = dice.below(10)
      if (way < 5) {
        const inner = dice.chance(15) ? randomViaPacket(dice, peer, 'in') : randomPacket(dice, peer, undefined)
        const padded = new Uint8Array(paddedLength(inner.length, MTU_BYTES))
        padded.set(inner)
        const datagram = new Uint8Array(padded.length + 32)
        sealers[peer]!.seal(padded, datagram)
        if (dice.chance(2)) datagram[dice.below(datagram.length)]! ^= 1 << dice.below(8)
        each((side) => side.receive(addressOf(peer), datagram.slice()))
        if (dice.chance(2)) each((side) => side.receive(addressOf(peer), datagram.slice()))
      } else if (way < 9) {
        const outgoing = dice.chance(15) ? randomViaPacket(dice, peer, 'out') : randomPacket(dice, undefined, peer)
        each((side) => side.fromHost(outgoing.slice()))
      } else {
        const own = randomPacket(dice, undefined, peer)
        each(({ path }) => path.sendPacket(peer, own))
      }
    }

    const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
    const drops = new Set<string>()
    for (let done = 0; done < PACKETS; ) {
      for (let n = dice.below(3); n > 0; n--) change()
      const before = done
      for (let n = 1 + dice.below(60); n > 0; n--, done++) packet()
      await turn()
      const [twin, native] = sides.map(look)
      if (twin !== native) expect(native, `packets ${before} to ${done}, seed ${seed}`).toBe(twin)
      for (const reason of Object.keys(sides[0]!.path.stats().drops)) drops.add(reason)
      // Sessions live for 180 s; new ones now and then.
      if (clock.nowMs > 170_000) {
        clock.nowMs = 1_000
        for (let peer = 0; peer < PEERS_V4.length; peer++) each(({ path }) => path.dropKeypair(100 + peer))
        for (let peer = 0; peer < PEERS_V4.length; peer++) {
          each(({ path }) => path.addKeypair(keypair(peer)))
          const { localIndex, remoteIndex, sendKey, receiveKey, ...rest } = keypair(peer)
          const other = { localIndex: remoteIndex, remoteIndex: localIndex, sendKey: receiveKey, receiveKey: sendKey }
          sealers[peer] = new TransportKeys({ ...rest, ...other }, 0, nodeAead.create)
        }
        await turn()
        sides.forEach(look)
      }
    }
    // The generator is only worth something if it reaches every verdict.
    const verdicts = ['acl', 'destination', 'multicast', 'link_local_unicast', 'unknown_protocol']
    for (const reason of [
      ...verdicts.map((verdict) => `in-${verdict}`),
      'in-source',
      'in-decrypt',
      'in-replay-seen',
      'in-ip-header',
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
    ]) {
      expect(drops).toContain(reason)
    }
    for (const { path } of sides) await path.close()
  },
  120_000,
)
