/** What a plain WireGuard device does differently, on both data paths. */
import { describe, expect, test } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeIcmpEcho, encodeUdpPacket } from '../src-protocol/wire/packet.ts'
import { nodeAead } from './aead.ts'
import type { DoorEvent } from './door.ts'
import { clock, type End, endKinds } from './ends.contract-suite.ts'
import { TransportKeys } from './keypairs.ts'

const HOME = '192.0.2.2:51820' as IpPort
const AWAY = '198.51.100.7:1024' as IpPort
const SEND_KEY = new Uint8Array(32).fill(1)
const RECEIVE_KEY = new Uint8Array(32).fill(2)

const udp = (src: string, dst: string) =>
  encodeUdpPacket({ src: ipBytes(src), dst: ipBytes(dst), srcPort: 5000, dstPort: 53 }, new Uint8Array(4))

/** The same packet as another protocol. */
function asProtocol(packet: Uint8Array, protocol: number): Uint8Array {
  const changed = packet.slice()
  changed[9] = protocol
  return changed
}

describe.each(endKinds())('$name', ({ open }) => {
  /** Peer 1 has 10.0.0.0/8, peer 2 10.1.0.0/16 of it and a group; the far end of peer 1 is here. */
  async function device() {
    clock.nowMs = 0
    const events: DoorEvent[] = []
    const end = await open((batch) => events.push(...batch), { hasHost: true, isPlain: true })
    end.path.setPeer({ peer: 1, allowedIps: ['10.0.0.0/8', '224.0.0.0/4'], jailed: false })
    end.path.setPeer({ peer: 2, allowedIps: ['10.1.0.0/16'], jailed: false })
    end.path.addKeypair({
      peer: 1,
      localIndex: 11,
      remoteIndex: 22,
      sendKey: SEND_KEY,
      receiveKey: RECEIVE_KEY,
      slot: 'current',
    })
    end.path.setDestination(1, { udp: HOME, relay: false })
    await turn()
    const far = new TransportKeys(
      { peer: 1, localIndex: 22, remoteIndex: 11, sendKey: RECEIVE_KEY, receiveKey: SEND_KEY, slot: 'current' },
      0,
      nodeAead.create,
    )
    const seal = (packet: Uint8Array) => {
      const padded = new Uint8Array(Math.ceil(packet.length / 16) * 16)
      padded.set(packet)
      const datagram = new Uint8Array(padded.length + 32)
      far.seal(padded, datagram)
      return datagram
    }
    return { end, events, seal }
  }

  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  /** Where the next packet of the host goes. */
  async function nextGoesTo(end: End): Promise<IpPort | undefined> {
    end.sent.splice(0)
    end.fromHost(udp('192.168.0.1', '10.0.0.1'))
    await turn()
    return end.sent.at(-1)?.to
  }
  const written = async (end: End) => {
    await turn()
    return end.written.splice(0).map((packet) => Uint8Array.from(packet))
  }

  test.each([
    ['protocol 99', asProtocol(udp('10.0.0.1', '10.0.0.2'), 99)],
    ['multicast', udp('10.0.0.1', '224.0.0.5')],
    ['an echo to 100.100.100.100', echo('10.0.0.1', '100.100.100.100')],
    ['an unknown protocol', asProtocol(udp('10.0.0.1', '10.0.0.2'), 200)],
  ])('[UAPI-4.5] %s is taken from the peer as it is', async (_what, packet) => {
    const { end, events, seal } = await device()
    end.receive(HOME, seal(packet))
    expect(await written(end)).toEqual([packet])
    expect(events.filter(({ kind }) => kind !== 'activity')).toEqual([])
  })

  test.each([
    ['protocol 99', asProtocol(udp('192.168.0.1', '10.0.0.1'), 99)],
    ['multicast', udp('192.168.0.1', '224.0.0.5')],
  ])('[UAPI-4.5] %s of the host goes to whom it is routed', async (_what, packet) => {
    const { end } = await device()
    end.fromHost(packet)
    await turn()
    expect(end.sent.map(({ to }) => to)).toEqual([HOME])
  })

  test('[UAPI-4.5] a source that is routed to another peer is refused, though a wider prefix is ours', async () => {
    const { end, seal } = await device()
    end.receive(HOME, seal(udp('10.1.0.1', '192.168.0.1')), seal(udp('10.2.0.1', '192.168.0.1')))
    expect(await written(end)).toEqual([udp('10.2.0.1', '192.168.0.1')])
    expect(end.path.stats().drops).toEqual({ 'in-source': 1 })
  })

  test('[UAPI-4.3] the next packet goes to where the last authentic datagram came from', async () => {
    const { end, events, seal } = await device()
    expect(await nextGoesTo(end)).toBe(HOME)
    end.receive(AWAY, seal(udp('10.0.0.1', '192.168.0.1')))
    expect(await nextGoesTo(end)).toBe(AWAY)
    expect(events.findLast((event) => event.kind === 'activity')).toMatchObject({ from: AWAY })
    end.receive(HOME, seal(new Uint8Array(0)))
    expect(await nextGoesTo(end)).toBe(HOME)
  })

  test('[UAPI-4.3] forged and repeated datagrams move nobody', async () => {
    const { end, seal } = await device()
    const good = seal(udp('10.0.0.1', '192.168.0.1'))
    end.receive(HOME, good.slice())
    const forged = seal(udp('10.0.0.1', '192.168.0.1'))
    forged[forged.length - 1]! ^= 1
    end.receive(AWAY, forged, good.slice())
    expect(await nextGoesTo(end)).toBe(HOME)
  })

  test('[UAPI-4.3] told otherwise from outside, it goes there, whatever was heard before', async () => {
    const { end, events, seal } = await device()
    end.receive(AWAY, seal(udp('10.0.0.1', '192.168.0.1')))
    end.path.setDestination(1, { udp: HOME, relay: false })
    expect(await nextGoesTo(end)).toBe(HOME)
    expect(events.findLast((event) => event.kind === 'activity')).toMatchObject({ sentData: true, receivedAny: false })
  })
})

function echo(src: string, dst: string): Uint8Array {
  return encodeIcmpEcho({ src: ipBytes(src), dst: ipBytes(dst), kind: 'request', id: 7, seq: 1 })
}
