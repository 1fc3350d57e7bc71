/**
 * Parts of the data path by themselves, in far more cases than whole packets reach: routes, replay windows, padding. Both
 * data paths must agree with each other and with the rule, said again here in the slowest way.
 */
import { describe, expect, test } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { ipText, type Prefix, prefixContains, prefixText } from '../src-protocol/wire/ip.ts'
import { encodeUdpPacket } from '../src-protocol/wire/packet.ts'
import { BothSides, FarEnds, nativeKinds, sealPacket, seed } from './both-sides.contract-suite.ts'
import { clock, endKinds } from './ends.contract-suite.ts'
import { Dice } from './random-packets.contract-suite.ts'

const ROUTE_PACKETS = 40_000
const COUNTERS = 60_000
const WINDOW = 8_128
const addressOf = (peer: number) => `192.0.2.${peer + 1}:41641` as IpPort

/** One AEAD will do: nothing here depends on it. */
const kind = nativeKinds[0] ?? endKinds()[0]!
describe.skipIf(nativeKinds.length === 0)(`${kind.name} (seed ${seed})`, () => {
  test(`${ROUTE_PACKETS} packets between 24 peers with nested and contested prefixes`, async () => {
    clock.nowMs = 1_000
    const dice = new Dice(seed)
    const both = await BothSides.open(kind)
    const far = new FarEnds()
    const tables = new Map<number, { readonly prefixes: readonly Prefix[]; readonly age: number }>()
    let age = 0
    both.doors((door) =>
      door.setFilter({
        rules: [4, 6].map((family) => ({
          sources: [family === 4 ? '0.0.0.0/0' : '::/0'],
          destinations: [{ prefix: family === 4 ? '0.0.0.0/0' : '::/0', firstPort: 0, lastPort: 65_535 }],
          protocols: [17],
        })),
        localNets: ['0.0.0.0/0', '::/0'],
        shieldsUp: false,
        peerApi: [],
      }),
    )
    /** Few addresses, so that prefixes of all lengths nest and two peers claim the same. */
    const address = () =>
      dice.chance(60)
        ? Uint8Array.of(10, dice.below(4), dice.below(4) << 6, dice.below(8))
        : Uint8Array.of(
            0xfd,
            0,
            0,
            dice.below(2),
            0,
            0,
            0,
            dice.below(2) << 7,
            0,
            0,
            0,
            0,
            dice.below(2),
            0,
            0,
            dice.below(4),
          )
    const prefix = (): Prefix => {
      const ip = address()
      const bits = dice.chance(97) ? ip.length * 8 - dice.below(10) : dice.below(ip.length * 8 + 1)
      return { ip, bits }
    }
    /** The longest prefix, of equal ones the one that was claimed last. */
    const ownerOf = (ip: Uint8Array) => {
      let best: { peer: number; bits: number; age: number } | undefined
      for (const [peer, table] of tables) {
        for (const prefix of table.prefixes) {
          const { bits } = prefix
          const isWorse = best !== undefined && (bits < best.bits || (bits === best.bits && table.age < best.age))
          if (isWorse || !prefixContains(prefix, ip)) continue
          best = { peer, bits, age: table.age }
        }
      }
      return best?.peer
    }
    const change = (peer: number) => {
      if (dice.chance(15)) {
        both.doors((door) => door.removePeer(peer))
        tables.delete(peer)
        return
      }
      const prefixes = Array.from({ length: dice.chance(90) ? dice.below(4) : dice.below(14) }, prefix)
      const isNew = !tables.has(peer)
      tables.set(peer, { prefixes, age: age++ })
      both.doors((door) => door.setPeer({ peer, allowedIps: prefixes.map(prefixText), jailed: false }))
      if (!isNew) return
      const keypair = far.create(peer, 'current')
      both.doors((door) => {
        door.addKeypair(keypair)
        door.setDestination(peer, { udp: addressOf(peer), relay: false })
      })
    }
    const udp = (src: Uint8Array, dst: Uint8Array) =>
      encodeUdpPacket({ src, dst, srcPort: 1, dstPort: 2 }, new Uint8Array(1))

    let [sent, unrouted, taken, refused] = [0, 0, 0, 0]
    for (let peer = 0; peer < 24; peer++) change(peer)
    await both.compare('tables')
    for (let done = 0; done < ROUTE_PACKETS; ) {
      for (let n = dice.below(4); n > 0; n--) change(dice.below(24))
      const before = (await both.compare(`changes before packet ${done}`)).drops
      const expected = { to: [] as IpPort[], sources: [] as string[], unrouted: 0, refused: 0 }
      for (let n = dice.below(100); n > 0; n--, done++) {
        const ip = address()
        const own =
          ip.length === 4 ? Uint8Array.of(100, 64, 0, 1) : Uint8Array.of(0xfd, 0x7a, ...new Array(13).fill(0), 1)
        if (dice.chance(60)) {
          const owner = ownerOf(ip)
          if (owner === undefined) expected.unrouted++
          else expected.to.push(addressOf(owner))
          both.fromHost(udp(own, ip))
        } else {
          const peer = dice.below(24)
          const table = tables.get(peer)
          if (table === undefined) continue
          if (!table.prefixes.some((own) => prefixContains(own, ip))) expected.refused++
          else expected.sources.push(ipText(ip))
          both.receive(addressOf(peer), sealPacket(far.newest(peer), udp(ip, own)))
        }
      }
      const seen = await both.compare(`up to packet ${done}`)
      const since = (reason: string) => (seen.drops[reason] ?? 0) - (before[reason] ?? 0)
      expect({
        to: seen.sent.map(({ to }) => to).sort(),
        sources: seen.written.map((packet) => ipText(packet.slice(...(packet[0]! >> 4 === 4 ? [12, 16] : [8, 24])))),
        unrouted: since('out-no-route'),
        refused: since('in-source'),
      }).toEqual({ ...expected, to: expected.to.sort() })
      sent += expected.to.length
      unrouted += expected.unrouted
      taken += expected.sources.length
      refused += expected.refused
    }
    for (const count of [sent, unrouted, taken, refused]) expect(count).toBeGreaterThan(ROUTE_PACKETS / 100)
    await both.close()
  }, 60_000)

  test(`[WG-5.1] ${COUNTERS} counters in any order: each once, within 8128 of the newest`, async () => {
    clock.nowMs = 1_000
    const dice = new Dice(seed)
    const both = await BothSides.open(kind)
    const far = new FarEnds()
    const seen = { fresh: 0, again: 0, old: 0, beyond: 0 }
    both.doors((door) => door.setPeer({ peer: 0, allowedIps: [], jailed: false }))
    const datagrams: { bytes: Uint8Array; counter: number }[] = []
    let known = new Set<number>()
    let newest = 0
    let isFirst = true
    const renew = () => {
      const keypair = far.create(0, 'current')
      both.doors((door) => door.addKeypair(keypair))
      ;[known, newest, isFirst] = [new Set(), 0, true]
      datagrams.length = 0
    }
    const counter = () => {
      const jump = dice.pick([1, 2, 63, 64, 65, 4_096, WINDOW - 1, WINDOW, WINDOW + 1, 64 * 128, 64 * 128 + 1, 100_000])
      switch (dice.below(8)) {
        case 0:
          return newest + jump
        case 1:
          return Math.max(0, newest - jump)
        case 2:
          return Math.max(0, newest - WINDOW - 2 + dice.below(5))
        case 3:
          return Math.max(0, newest - dice.below(2 * WINDOW))
        case 4:
          return dice.chance(1) ? dice.u32() * 2 ** 20 : newest + dice.below(3_000)
        default:
          return newest + dice.below(4)
      }
    }
    renew()
    for (let done = 0; done < COUNTERS; ) {
      if (dice.chance(1) || newest > 2 ** 52) renew()
      const before = await both.compare(`up to counter ${done}`)
      const expected = { fresh: 0, again: 0, old: 0, beyond: 0 }
      for (let n = dice.below(60); n > 0; n--, done++) {
        const keys = far.newest(0)
        keys.sendCounter = Math.min(counter(), Number.MAX_SAFE_INTEGER)
        const value = keys.sendCounter
        const datagram = sealPacket(keys, new Uint8Array(0))
        if (dice.chance(1)) {
          datagram[14] = 0x20 + dice.below(200) // 2^53 and more
          expected.beyond++
        } else if (known.has(value) && newest - value <= WINDOW) {
          expected.again++
        } else if (!isFirst && newest - value > WINDOW) {
          expected.old++
        } else {
          expected.fresh++
          known.add(value)
          newest = Math.max(newest, value)
          isFirst = false
        }
        both.receive(addressOf(0), datagram)
      }
      const after = await both.compare(`up to counter ${done}`)
      const since = (reason: string) => (after.drops[reason] ?? 0) - (before.drops[reason] ?? 0)
      const refused = { again: since('in-replay-seen'), old: since('in-replay-old'), beyond: since('in-counter-range') }
      expect(refused).toEqual({ again: expected.again, old: expected.old, beyond: expected.beyond })
      for (const verdict of ['fresh', 'again', 'old', 'beyond'] as const) seen[verdict] += expected[verdict]
    }
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(COUNTERS / 300)
    await both.close()
  }, 60_000)

  test.each([576, 1280, 1281, 1420, 9000])(
    '[WG-9.5] MTU %i: padding for every length',
    async (mtuBytes) => {
      clock.nowMs = 1_000
      const dice = new Dice(seed)
      const both = await BothSides.open(kind, { hasHost: true, mtuBytes })
      const far = new FarEnds()
      const keypair = far.create(0, 'current')
      both.doors((door) => {
        door.setPeer({ peer: 0, allowedIps: ['0.0.0.0/0'], jailed: false })
        door.addKeypair(keypair)
        door.setDestination(0, { udp: addressOf(0), relay: true })
      })
      const near = [0, mtuBytes, 2 * mtuBytes, 65_535].flatMap((middle) =>
        Array.from({ length: 100 }, (_, i) => middle - 50 + i),
      )
      const lengths = [...near, ...Array.from({ length: 300 }, () => dice.below(4_000))].filter(
        (n) => n >= 0 && n <= 65_535,
      )
      for (const length of lengths) {
        const packet = Uint8Array.from({ length }, () => 1 + dice.below(255))
        const isHosts = length >= 28 && dice.chance(50)
        if (isHosts) {
          packet.set([0x45, 0, length >> 8, length & 0xff, 0, 0, 0, 0, 64, 17, 0, 0, 100, 64, 0, 1, 10, 0, 0, 1])
          both.fromHost(packet)
        } else {
          both.doors((door) => door.sendPacket(0, packet))
        }
        const { sent, events } = await both.compare(`${length} bytes`)
        const sealed = events.find((event) => event.kind === 'toRelay')!.bytes
        // What no datagram can hold goes by the relay alone.
        expect(sent).toEqual(sealed.length > 65_507 ? [] : [{ to: addressOf(0), bytes: sealed }])
        const opened = far.newest(0).open(sealed)
        if (!opened.ok) throw new Error(opened.reason)
        const beyond = Math.floor((Math.max(length, 1) - 1) / mtuBytes) * mtuBytes
        const padded = Math.min(Math.ceil((length - beyond) / 16) * 16, mtuBytes) + beyond
        expect([length, opened.value.length]).toEqual([length, padded])
        expect(Buffer.compare(opened.value.subarray(0, length), packet)).toBe(0)
        expect(opened.value.subarray(length).every((byte) => byte === 0)).toBe(true)
      }
      for (const length of [65_536, 70_000]) both.doors((door) => door.sendPacket(0, new Uint8Array(length)))
      expect(await both.compare('too long')).toMatchObject({ sent: [], drops: { 'too-long': 2 } })
      await both.close()
    },
    60_000,
  )
})
