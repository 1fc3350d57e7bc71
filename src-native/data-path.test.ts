import { describe, expect, test } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeIcmpEcho, encodeTsmpPacket, encodeUdpPacket } from '../src-protocol/wire/packet.ts'
import { nodeAead } from './aead.ts'
import type { DoorEvent, FilterTable, Keypair } from './door.ts'
import { clock, type End, endKinds } from './ends.contract-suite.ts'
import { TransportKeys } from './keypairs.ts'

const A = '100.64.0.1'
const B = '100.64.0.2'
const A_AT = '192.0.2.1:41641' as IpPort
const B_AT = '192.0.2.2:41641' as IpPort
const KEY_AB = new Uint8Array(32).fill(1)
const KEY_BA = new Uint8Array(32).fill(2)

interface Side extends End {
  readonly events: DoorEvent[]
}

describe.each(endKinds())('$name', ({ open }) => {
  async function end(): Promise<Side> {
    const events: DoorEvent[] = []
    return Object.assign(await open((batch) => events.push(...batch)), { events })
  }

  const keysOfA: Keypair = {
    peer: 1,
    localIndex: 11,
    remoteIndex: 22,
    sendKey: KEY_AB,
    receiveKey: KEY_BA,
    slot: 'current',
  }
  const keysOfB: Keypair = {
    peer: 2,
    localIndex: 22,
    remoteIndex: 11,
    sendKey: KEY_BA,
    receiveKey: KEY_AB,
    slot: 'next',
  }
  const allowAll = (own: string): FilterTable => ({
    rules: [
      {
        sources: ['0.0.0.0/0'],
        destinations: [{ prefix: '0.0.0.0/0', firstPort: 0, lastPort: 65535 }],
        protocols: [6, 17, 1],
      },
    ],
    localNets: [`${own}/32`],
    shieldsUp: false,
    peerApi: [],
  })

  /** A knows B as peer 1, B knows A as peer 2; both take everything as a local service. */
  async function pair(): Promise<{ a: Side; b: Side }> {
    clock.nowMs = 0
    const [a, b] = [await end(), await end()]
    a.path.setPeer({ peer: 1, allowedIps: [`${B}/32`], jailed: false })
    b.path.setPeer({ peer: 2, allowedIps: [`${A}/32`], jailed: false })
    a.path.addKeypair(keysOfA)
    b.path.addKeypair(keysOfB)
    a.path.setDestination(1, { udp: B_AT, relay: false })
    b.path.setDestination(2, { udp: A_AT, relay: false })
    a.path.setFilter(allowAll(A))
    b.path.setFilter(allowAll(B))
    a.path.setLocalService([A])
    b.path.setLocalService([B])
    return { a, b }
  }

  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  /** Hands on what waits on the wire, both ways, until it is quiet. */
  async function settle(a: Side, b: Side): Promise<void> {
    for (let round = 0; round < 5; round++) {
      await turn()
      const ab = a.sent.splice(0)
      const ba = b.sent.splice(0)
      if (ab.length > 0) b.receive(A_AT, ...ab.map((d) => d.bytes))
      if (ba.length > 0) a.receive(B_AT, ...ba.map((d) => d.bytes))
    }
  }

  const udp = (src: string, dst: string, dstPort = 53, size = 4) =>
    encodeUdpPacket({ src: ipBytes(src), dst: ipBytes(dst), srcPort: 5000, dstPort }, new Uint8Array(size))
  const kinds = (end: Side) => end.events.map((event) => event.kind)
  const only = <K extends DoorEvent['kind']>(end: Side, kind: K) =>
    end.events.filter((event): event is DoorEvent & { kind: K } => event.kind === kind)

  describe('sessions', () => {
    test('[WG-4] the first datagram confirms the responder, packets arrive trimmed', async () => {
      const { a, b } = await pair()
      a.path.sendPacket(1, new Uint8Array(0))
      a.path.sendPacket(1, udp(A, B, 53, 5))
      await settle(a, b)
      expect(kinds(b)).toEqual(['confirmed', 'local', 'activity'])
      const [local] = only(b, 'local')
      expect(local!.peer).toBe(2)
      expect(new Uint8Array(local!.packet)).toEqual(udp(A, B, 53, 5))
      expect(only(b, 'activity')).toEqual([
        {
          kind: 'activity',
          peer: 2,
          localIndex: 22,
          sentData: false,
          sentAny: false,
          receivedData: true,
          receivedAny: true,
          sendCounter: 0,
          from: A_AT,
        },
      ])
      b.path.sendPacket(2, udp(B, A))
      await settle(a, b)
      expect(only(a, 'local')).toHaveLength(1)
      expect(a.path.stats().peers.get(1)).toEqual({ rxBytes: 64, rxPackets: 1, txBytes: 32 + 32 + 48, txPackets: 2 })
    })

    test('[WG-4] [WG-9.2] a responder does not send with `next`', async () => {
      const { a, b } = await pair()
      b.path.sendPacket(2, udp(B, A))
      await settle(a, b)
      expect(b.events).toEqual([{ kind: 'noSession', peer: 2, packet: udp(B, A) }])
    })

    test('a packet without a session comes back as it was', async () => {
      const { a } = await pair()
      a.path.dropKeypair(11)
      a.path.sendPacket(1, udp(A, B, 53, 3))
      await turn()
      expect(a.events).toEqual([{ kind: 'noSession', peer: 1, packet: udp(A, B, 53, 3) }])
    })

    test('[WG-3] sessions end at 180 s, in both directions', async () => {
      const { a, b } = await pair()
      a.path.sendPacket(1, udp(A, B))
      await turn()
      clock.nowMs = 180_000
      await settle(a, b)
      expect(b.path.stats().drops).toEqual({ 'in-keypair-expired': 1 })
      a.path.sendPacket(1, udp(A, B))
      await turn()
      expect(kinds(a)).toEqual(['activity', 'noSession'])
    })

    test('[WG-9.5] what is sealed ends in zeros, up to 16 bytes but not beyond the MTU', async () => {
      const { a } = await pair()
      const keys = new TransportKeys(keysOfB, 0, nodeAead.create)
      for (const [size, padded] of [
        [1, 32],
        [4, 32],
        [5, 48],
        [1280 - 28, 1280],
        [1280 - 29, 1280],
      ] as const) {
        const packet = encodeUdpPacket(
          { src: ipBytes(A), dst: ipBytes(B), srcPort: 5000, dstPort: 53 },
          new Uint8Array(size).fill(0xff),
        )
        a.path.sendPacket(1, packet)
        await turn()
        const opened = keys.open(a.sent.splice(0)[0]!.bytes)
        expect(opened).toEqual({ ok: true, value: Buffer.concat([packet, new Uint8Array(padded - packet.length)]) })
      }
    })

    test('[WG-9.9] the first packet of a session may be TSMP: it confirms, and comes up', async () => {
      const { a, b } = await pair()
      const packet = encodeTsmpPacket(ipBytes(A), ipBytes(B), {
        kind: 'discoKey',
        discoKey: new Uint8Array(32).fill(9),
      })
      a.path.sendPacket(1, packet)
      await settle(a, b)
      expect(kinds(b)).toEqual(['confirmed', 'tsmp', 'activity'])
      expect(only(b, 'tsmp').map((event) => [event.peer, new Uint8Array(event.packet)])).toEqual([[2, packet]])
      b.path.sendPacket(2, udp(B, A))
      await settle(a, b)
      expect(only(a, 'local')).toHaveLength(1)
    })

    test('[WG-9.10] duplicates are dropped, once each, in any order', async () => {
      const { a, b } = await pair()
      for (let i = 0; i < 50; i++) a.path.sendPacket(1, udp(A, B, i))
      await turn()
      const datagrams = a.sent.splice(0).map((d) => d.bytes)
      for (const copy of [datagrams, datagrams.toReversed(), datagrams]) b.receive(A_AT, ...copy)
      await turn()
      expect(only(b, 'local')).toHaveLength(50)
      expect(b.path.stats().drops).toEqual({ 'in-replay-seen': 100 })
    })

    test('a rekey under traffic loses nothing: old keypairs receive until they are dropped', async () => {
      const { a, b } = await pair()
      a.path.sendPacket(1, udp(A, B, 1))
      await settle(a, b)
      a.path.sendPacket(1, udp(A, B, 2)) // under the old keypair, still on its way
      await turn()
      const late = a.sent.splice(0).map((d) => d.bytes)
      const [fresh1, fresh2] = [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)]
      b.path.addKeypair({ peer: 2, localIndex: 23, remoteIndex: 12, sendKey: fresh2, receiveKey: fresh1, slot: 'next' })
      a.path.addKeypair({
        peer: 1,
        localIndex: 12,
        remoteIndex: 23,
        sendKey: fresh1,
        receiveKey: fresh2,
        slot: 'current',
      })
      a.path.sendPacket(1, udp(A, B, 3))
      await settle(a, b)
      b.receive(A_AT, ...late)
      await turn()
      expect(only(b, 'local').map(({ packet }) => packet[23])).toEqual([1, 3, 2])
      expect(only(b, 'confirmed').map(({ localIndex }) => localIndex)).toEqual([22, 23])
      b.path.sendPacket(2, udp(B, A))
      await settle(a, b)
      expect(only(a, 'local')).toHaveLength(1)
    })

    test('unknown ids are ignored', async () => {
      const { a } = await pair()
      a.path.setDestination(99, { relay: true })
      a.path.addKeypair({ ...keysOfA, peer: 99, localIndex: 99 })
      a.path.dropKeypair(98)
      a.path.removePeer(99)
      a.path.sendPacket(99, udp(A, B))
      await turn()
      expect(a.events).toEqual([])
    })

    test('a removed peer is gone with its keypairs', async () => {
      const { a, b } = await pair()
      a.path.sendPacket(1, udp(A, B))
      await turn()
      b.path.removePeer(2)
      b.receive(A_AT, ...a.sent.map((d) => d.bytes))
      await turn()
      expect(kinds(b)).toEqual([])
      expect(b.path.stats().drops).toEqual({ 'in-unknown-index': 1 })
    })
  })

  describe('paths', () => {
    test('relay only: sealed datagrams come up and go down', async () => {
      const { a, b } = await pair()
      a.path.setDestination(1, { relay: true })
      a.path.sendPacket(1, udp(A, B))
      await turn()
      expect(a.sent).toEqual([])
      b.path.receiveFromRelay(2, only(a, 'toRelay')[0]!.bytes)
      await turn()
      expect(only(b, 'local')).toHaveLength(1)
      expect(only(b, 'activity')[0]!.from).toBe('relay')
    })

    test('both at once: the copies are equal, one is taken', async () => {
      const { a, b } = await pair()
      a.path.setDestination(1, { udp: B_AT, relay: true })
      a.path.sendPacket(1, udp(A, B))
      await turn()
      const { bytes } = only(a, 'toRelay')[0]!
      expect(a.sent).toEqual([{ to: B_AT, bytes }])
      b.path.receiveFromRelay(2, bytes)
      await settle(a, b)
      expect(only(b, 'local')).toHaveLength(1)
    })

    test('peer relay: the Geneve header with the VNI, both ways', async () => {
      const { a, b } = await pair()
      a.path.setDestination(1, { udp: B_AT, vni: 0x000123, relay: false })
      a.path.sendPacket(1, new Uint8Array(0))
      await turn()
      const { bytes } = a.sent[0]!
      expect(Buffer.from(bytes.subarray(0, 12)).toString('hex')).toBe('00007a120001230004000000')
      await settle(a, b)
      expect(kinds(b)).toEqual(['confirmed', 'activity'])
    })

    test('no path at all: the packet is dropped, but the wish to send is told', async () => {
      const { a } = await pair()
      a.path.setDestination(1, { relay: false })
      a.path.sendPacket(1, udp(A, B))
      await turn()
      expect(only(a, 'activity')[0]).toMatchObject({ sentData: true, sendCounter: 0 })
      expect(a.path.stats().drops).toEqual({ 'out-no-path': 1 })
    })

    test('[WG-9.7] what is not to be opened comes up: handshakes, disco, STUN; less is dropped', async () => {
      const { a } = await pair()
      const datagrams = [new Uint8Array(148).fill(1, 0, 1), new Uint8Array(31).fill(4, 0, 1), new Uint8Array(20)]
      a.receive(B_AT, ...datagrams, new Uint8Array(1).fill(7), new Uint8Array(0))
      expect(a.events).toEqual(datagrams.map((bytes) => ({ kind: 'datagram', from: B_AT, bytes })))
      expect(a.path.stats().drops).toEqual({ 'in-short': 2 })
    })

    test('transport data of a session that is over is dropped where it comes in, whichever way', async () => {
      const { a } = await pair()
      const stray = new Uint8Array(1_300).fill(4, 0, 1)
      a.receive(B_AT, stray.slice(), stray.slice(0, 32), Uint8Array.of(0, 0, 0x7a, 0x12, 0, 0, 9, 0, ...stray))
      a.path.receiveFromRelay(1, stray.slice())
      await turn()
      expect(a.events).toEqual([])
      expect(a.path.stats().drops).toEqual({ 'in-unknown-index': 4 })
    })

    test('one activity per peer and delivery, however many packets', async () => {
      const { a, b } = await pair()
      for (let i = 0; i < 100; i++) a.path.sendPacket(1, udp(A, B, i))
      await settle(a, b)
      expect(only(a, 'activity')).toHaveLength(1)
      expect(only(b, 'activity')).toHaveLength(1)
      expect(only(a, 'activity')[0]!.sendCounter).toBe(100)
    })

    test('what the receiver does inside onEvents comes in a delivery of its own', async () => {
      const depth = { now: 0, max: 0, deliveries: 0 }
      const { path }: End = await open(() => {
        depth.max = Math.max(depth.max, ++depth.now)
        if (++depth.deliveries < 5) path.sendPacket(1, udp(A, B))
        depth.now--
      })
      path.setPeer({ peer: 1, allowedIps: [], jailed: false })
      path.sendPacket(1, udp(A, B))
      await turn()
      expect(depth).toEqual({ now: 0, max: 1, deliveries: 5 })
    })

    test('closing sends what waits, then nothing more', async () => {
      const { a } = await pair()
      a.path.sendPacket(1, udp(A, B))
      await a.path.close()
      expect(a.sent).toHaveLength(1)
      a.path.sendPacket(1, udp(A, B))
      a.path.sendDatagram(B_AT, new Uint8Array(30))
      await a.path.close()
      await turn()
      expect(a.sent).toHaveLength(1)
      expect(kinds(a)).toEqual(['activity'])
    })
  })

  describe('packets from peers', () => {
    async function fromA(packet: Uint8Array, prepare: (b: Side, a: Side) => void = () => undefined) {
      const { a, b } = await pair()
      a.path.sendPacket(1, new Uint8Array(0))
      await settle(a, b)
      b.events.length = 0
      prepare(b, a)
      a.path.sendPacket(1, packet)
      await settle(a, b)
      return { a, b, kinds: kinds(b).filter((kind) => kind !== 'activity'), drops: b.path.stats().drops }
    }

    test('a source that is not the peer’s is dropped', async () => {
      expect(await fromA(udp('100.64.0.9', B))).toMatchObject({ kinds: [], drops: { 'in-source': 1 } })
    })

    test('bad IP headers are dropped', async () => {
      expect(await fromA(new Uint8Array(16).fill(0x45))).toMatchObject({ kinds: [], drops: { 'in-ip-header': 1 } })
      expect(await fromA(new Uint8Array(64).fill(0x75))).toMatchObject({ kinds: [], drops: { 'in-ip-header': 1 } })
    })

    test('an expected echo reply comes up for ten seconds, others go on', async () => {
      const reply = encodeIcmpEcho({ src: ipBytes(A), dst: ipBytes(B), kind: 'reply', id: 77, seq: 1 })
      expect((await fromA(reply)).kinds).toEqual(['local'])
      expect((await fromA(reply, (b) => b.path.expectEcho(77))).kinds).toEqual(['echoReply'])
      const late = await fromA(reply, (b) => {
        b.path.expectEcho(77)
        clock.nowMs += 10_001
      })
      expect(late.kinds).toEqual(['local'])
      const justInTime = await fromA(reply, (b) => {
        b.path.expectEcho(77)
        clock.nowMs += 10_000
      })
      expect(justInTime.kinds).toEqual(['echoReply'])
    })
  })

  describe('hostile input', () => {
    test('[F-datagrams] a million random datagrams: nothing thrown, nothing kept, nothing let in', async () => {
      let seen = 0
      const source = await open((events) => {
        seen += events.length
      })
      const { path } = source
      path.setPeer({ peer: 1, allowedIps: [`${B}/32`], jailed: false })
      path.addKeypair(keysOfA)
      const noise = new Uint8Array(4096)
      let state = 12345
      for (let i = 0; i < noise.length; i++) {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
        noise[i] = state >> 16
      }
      const before = process.memoryUsage().heapUsed
      for (let round = 0; round < 10_000; round++) {
        const batch = Array.from({ length: 100 }, (_, i) => {
          const at = (round * 31 + i * 17) % 2000
          return noise.subarray(at, at + ((round + i) % 200))
        })
        source.receive(B_AT, ...batch)
      }
      // Aimed ones: a live keypair's index in front, everything behind random.
      for (let round = 0; round < 20_000; round++) {
        const aimed = noise.slice(round % 2000, (round % 2000) + 32 + (round % 64))
        aimed.set([4, 0, 0, 0, 11, 0, 0, 0])
        aimed.fill(0, 14, 16)
        source.receive(B_AT, aimed)
      }
      const { drops } = path.stats()
      expect(seen + drops['in-short']!).toBe(1_000_000)
      expect(drops['in-decrypt']).toBe(20_000)
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 << 20)
      await path.close()
    }, 60_000)

    test('a peer with a valid session and random packets inside', async () => {
      const { a, b } = await pair()
      let state = 99
      for (let round = 0; round < 2_000; round++) {
        const packet = new Uint8Array(round % 120)
        for (let i = 0; i < packet.length; i++) {
          state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
          packet[i] = state >> 16
        }
        if (packet.length > 0) packet[0] = round % 2 === 0 ? 0x45 : 0x60
        a.path.sendPacket(1, packet)
        await settle1(a, b)
      }
      expect(only(b, 'local')).toEqual([])
      expect(b.path.stats().peers.get(2)!.rxPackets).toBe(2_000)
    })
  })

  async function settle1(a: Side, b: Side): Promise<void> {
    await Promise.resolve()
    b.receive(A_AT, ...a.sent.splice(0).map((d) => d.bytes))
  }
})
