/** The native tables with ten thousand peers of four routes each: the right one is found, and one more costs the work of one. */
import { expect, test } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeUdpPacket } from '../src-protocol/wire/packet.ts'
import { FarEnds, nativeKinds, sealPacket } from './both-sides.contract-suite.ts'
import type { DoorEvent } from './door.ts'
import { clock, type End } from './ends.contract-suite.ts'

const PEERS = 10_000
const AT = '192.0.2.9:41641' as IpPort
const OWN_V4 = '100.64.0.1'
const OWN_V6 = 'fd7a:115c:a1e0::f:1'

const half = (n: number) => n.toString(16)
const ownFor = (address: string) => (address.includes(':') ? OWN_V6 : OWN_V4)
/** Two addresses, and a subnet of each family behind it. */
const routesOf = (peer: number) => [
  `100.${100 + (peer >> 16)}.${(peer >> 8) & 255}.${peer & 255}/32`,
  `fd7a:115c:a1e0::${half(peer)}/128`,
  `10.${peer >> 8}.${peer & 255}.0/24`,
  `fd00:${half(peer)}::/32`,
]
const addressesIn = (peer: number) => [
  `100.${100 + (peer >> 16)}.${(peer >> 8) & 255}.${peer & 255}`,
  `fd7a:115c:a1e0::${half(peer)}`,
  `10.${peer >> 8}.${peer & 255}.77`,
  `fd00:${half(peer)}::9:1`,
]

async function openWith(peers: number): Promise<{ end: End; far: FarEnds; told: DoorEvent[] }> {
  clock.nowMs = 0
  const told: DoorEvent[] = []
  const far = new FarEnds()
  const end = await nativeKinds[0]!.open((events) => void told.push(...events), { hasHost: true })
  for (let peer = 1; peer <= peers; peer++) {
    end.path.setPeer({ peer, allowedIps: routesOf(peer), jailed: false })
    end.path.addKeypair(far.create(peer, 'current'))
    end.path.setDestination(peer, { udp: AT, relay: false })
  }
  return { end, far, told }
}

const packet = (src: string, dst: string) =>
  encodeUdpPacket({ src: ipBytes(src), dst: ipBytes(dst), srcPort: 1, dstPort: 2 }, new Uint8Array(4))
const receiverOf = (datagram: Uint8Array) => new DataView(datagram.buffer, datagram.byteOffset).getUint32(4, true)

/** Milliseconds, the best of five. `work` may answer how much of it counts. */
function timeOf(work: () => number | undefined): number {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < 5; i++) {
    const start = performance.now()
    best = Math.min(best, work() ?? performance.now() - start)
  }
  return best
}

const withNative = test.skipIf(nativeKinds.length === 0)

withNative('each of ten thousand is found by its own routes, and may use no others’', async () => {
  const { end, far } = await openWith(PEERS)
  for (let peer = 1; peer <= PEERS; peer += 37) {
    const addresses = addressesIn(peer)
    end.fromHost(...addresses.map((address) => packet(ownFor(address), address)))
    expect(end.sent.splice(0).map(({ bytes }) => receiverOf(bytes))).toEqual(
      addresses.map(() => far.newest(peer).localIndex),
    )
    const sources = [...addresses, ...addressesIn((peer % PEERS) + 1)]
    end.receive(AT, ...sources.map((address) => sealPacket(far.newest(peer), packet(address, ownFor(address)))))
  }
  const peers = Math.ceil(PEERS / 37)
  // Nothing is let in without a filter: it is asked only about sources that are the peer's.
  expect(end.path.stats().drops).toEqual({ 'in-destination': 4 * peers, 'in-source': 4 * peers })
  await end.path.close()
})

withNative('a change costs the work of one peer, however many there are', async () => {
  const [few, many] = [await openWith(10), await openWith(PEERS)]
  const changes = (end: End) => (): undefined => {
    for (let i = 0; i < 500; i++) {
      const peer = 1 + (i % 10)
      end.path.setPeer({ peer, allowedIps: i % 2 === 0 ? routesOf(peer).slice(1) : routesOf(peer), jailed: false })
    }
  }
  expect(timeOf(changes(many.end))).toBeLessThan(10 * timeOf(changes(few.end)))
  for (const { end } of [few, many]) await end.path.close()
})

withNative('a router of ten thousand networks does not make us slow by what is not its own', async () => {
  const { end, far } = await openWith(1)
  const networks = Array.from({ length: PEERS }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)
  end.path.setPeer({ peer: 1, allowedIps: networks, jailed: false })
  const costOf = (source: string) =>
    timeOf(() => {
      end.path.addKeypair(far.create(1, 'current'))
      const datagrams = Array.from({ length: 500 }, () => sealPacket(far.newest(1), packet(source, OWN_V4)))
      const start = performance.now()
      end.receive(AT, ...datagrams)
      return performance.now() - start
    })
  const [own, foreign] = [costOf('10.3.4.5'), costOf('11.3.4.5')]
  expect(end.path.stats().drops['in-source']).toBe(2_500)
  expect(foreign).toBeLessThan(5 * own)
  await end.path.close()
})
