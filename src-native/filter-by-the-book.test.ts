/** Random tables and packets: what passes is what docs/rules/filter.md says, in each data path. `PINTAIL_SEED=N` repeats. */
import { expect, test } from 'vitest'
import { ipText } from '../src-protocol/wire/ip.ts'
import { seed } from './both-sides.contract-suite.ts'
import { endKinds } from './ends.contract-suite.ts'
import { type BookVerdict, FilterByTheBook } from './filter-by-the-book.contract-suite.ts'
import { type Outcome, pathByHand } from './path-by-hand.contract-suite.ts'
import { Dice, PEERS_V4, PEERS_V6, randomPacket, randomTable } from './random-packets.contract-suite.ts'

const PACKETS = 20_000
const EVERYTHING = ['0.0.0.0/0', '::/0']
/** May use any address, as the other may; what we send to its own two addresses is the second's. */
const [FREE, JAILED] = [0, 1]
/** Answered before the filter is asked. [PKT-3.1] */
const SERVICES = ['100.100.100.100', 'fd7a:115c:a1e0::53']
const UNREADABLE = ['ip-header', 'too_short', 'unknown_protocol']
const VERDICTS: readonly BookVerdict[] = ['accept', 'unreadable', 'multicast', 'link_local_unicast']

/** What happened, in the words of the book. */
function verdictOf(way: 'in' | 'out', { toHost, toPeer, events, drops }: Outcome): string {
  const reason = Object.keys(drops).join().replace(`${way}-`, '')
  if (reason !== '') return UNREADABLE.includes(reason) ? 'unreadable' : reason
  return (way === 'in' ? toHost.length + events.length : toPeer.length) === 1 ? 'accept' : 'nothing'
}

function destinationOf(packet: Uint8Array): string {
  return packet.length < 40 && packet[0]! >> 4 === 6
    ? ''
    : ipText(packet[0]! >> 4 === 6 ? packet.slice(24, 40) : packet.slice(16, 20))
}

test.each(endKinds())(
  `$name: ${PACKETS} packets (seed ${seed})`,
  async (kind) => {
    const dice = new Dice(seed)
    const path = await pathByHand(kind)
    const books = [new FilterByTheBook(false), new FilterByTheBook(true)]
    path.setPeer({
      peer: JAILED,
      allowedIps: [...EVERYTHING, `${PEERS_V4[JAILED]}/32`, `${PEERS_V6[JAILED]}/128`],
      jailed: true,
    })
    path.setPeer({ peer: FREE, allowedIps: EVERYTHING })
    const counts = new Map<string, number>()
    for (let done = 0; done < PACKETS; done++) {
      if (done % 40 === 0) {
        const random = randomTable(dice)
        // Translation is not the filter's.
        const table = { ...random, localNets: random.localNets.filter((net) => !net.includes(':b1a:')) }
        path.door.setFilter(table)
        for (const book of books) book.setTable(table)
      }
      const peer = dice.chance(70) ? FREE : JAILED
      const way = dice.chance(55) ? 'in' : 'out'
      const packet = way === 'in' ? randomPacket(dice, peer, undefined) : randomPacket(dice, undefined, peer)
      const destination = packet.length < 20 ? '' : destinationOf(packet)
      if (way === 'out' && SERVICES.includes(destination)) continue
      const outcome =
        way === 'in' ? await path.fromPeer(peer, packet, { isPadded: false }) : await path.fromHost(packet)
      const isToJail = destination === PEERS_V4[JAILED] || destination === PEERS_V6[JAILED]
      const expected = way === 'in' ? books[peer]!.inbound(packet) : books[isToJail ? JAILED : FREE]!.outbound(packet)
      const what = `${way} ${done} ${Buffer.from(packet).toString('hex')}`
      expect(`${what} ${verdictOf(way, outcome)}`).toBe(`${what} ${expected}`)
      counts.set(`${way}-${expected}`, (counts.get(`${way}-${expected}`) ?? 0) + 1)
    }
    const reached = [
      ...VERDICTS.flatMap((verdict) => [`in-${verdict}`, `out-${verdict}`]),
      'out-tsmp',
      'in-destination',
      'in-acl',
    ]
    for (const name of reached) expect([name, (counts.get(name) ?? 0) > 20]).toEqual([name, true])
  },
  60_000,
)
