/** What waits for JavaScript: nobody's flood keeps out the others, nor hands over more at once than can be got through. */
import { expect, test } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeTsmpPacket, encodeUdpPacket } from '../src-protocol/wire/packet.ts'
import { FarEnds, nativeKinds, sealPacket } from './both-sides.contract-suite.ts'
import type { DoorEvent } from './door.ts'
import { clock } from './ends.contract-suite.ts'

const AT = '192.0.2.9:41641' as IpPort
const OWN = '100.64.0.1'
const [TALKATIVE, SILENT, FRESH] = [1, 2, 3] as const
const addressOf = (peer: number) => `100.64.1.${peer}`
const udpTo = (peer: number) =>
  encodeUdpPacket(
    { src: ipBytes(OWN), dst: ipBytes(addressOf(peer)), srcPort: 5000, dstPort: 53 },
    new Uint8Array(1200),
  )

test.skipIf(nativeKinds.length === 0)(
  'strangers, peers and this host flood at once: each fills its own share',
  async () => {
    clock.nowMs = 0
    const told: DoorEvent[] = []
    const far = new FarEnds()
    const end = await nativeKinds[0]!.open((events) => void told.push(...events), { hasHost: true })
    for (const peer of [TALKATIVE, SILENT, FRESH]) {
      end.path.setPeer({ peer, allowedIps: [`${addressOf(peer)}/32`], jailed: false })
      end.path.setDestination(peer, { udp: AT, relay: false })
    }
    end.path.addKeypair(far.create(TALKATIVE, 'current'))
    end.path.addKeypair(far.create(FRESH, 'next'))
    const ping = encodeTsmpPacket(ipBytes(addressOf(TALKATIVE)), ipBytes(OWN), {
      kind: 'ping',
      data: new Uint8Array(8),
    })
    const handshakes = Array.from({ length: 10_000 }, () => new Uint8Array(148).fill(1, 0, 1))
    const pings = Array.from({ length: 5_000 }, () => sealPacket(far.newest(TALKATIVE), ping))
    const first = sealPacket(far.newest(FRESH), new Uint8Array(0))
    const packets = Array.from({ length: 10_000 }, () => udpTo(SILENT))

    const count = (kind: DoorEvent['kind']) => told.filter((event) => event.kind === kind).length
    // All in one turn: before JavaScript is told of any.
    for (const packet of packets) end.path.sendPacket(SILENT, packet)
    end.receive(AT, ...handshakes, ...pings, first)
    const room = Math.floor((8 << 20) / packets[0]!.length)
    expect(count('noSession')).toBe(room)
    expect(count('datagram')).toBe(4096)
    expect(count('tsmp')).toBe(1024)
    expect(count('confirmed')).toBe(1)
    expect(end.path.stats().drops).toEqual({
      'up-queue-full': packets.length - room + (handshakes.length - 4096) + (pings.length - 1024),
    })

    // Who keeps one of them keeps no more.
    for (const event of told) {
      const bytes = 'packet' in event ? event.packet : 'bytes' in event ? event.bytes : undefined
      if (bytes?.buffer.byteLength !== bytes?.byteLength)
        expect.fail(`${event.kind} keeps ${bytes?.buffer.byteLength} bytes`)
    }

    // What was taken makes room; large ones count by their bytes.
    told.length = 0
    end.receive(AT, ...Array.from({ length: 100 }, () => new Uint8Array(50_000)))
    expect(count('datagram')).toBe(Math.floor((1 << 20) / 50_000))
    told.length = 0
    for (let i = 0; i < 10_000; i++) end.path.sendPacket(SILENT, new Uint8Array(0))
    await Promise.resolve()
    expect(count('noSession')).toBe(8192)
    await end.path.close()
  },
)
