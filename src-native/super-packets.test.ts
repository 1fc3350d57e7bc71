/**
 * Super-packets of the host, and packets whose checksum it leaves to the device: what leaves is what a device would have
 * cut and finished, byte for byte, also where packets are changed on their way. `PINTAIL_SEED=N` repeats a run.
 */
import { expect, test } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { concat, toHex } from '../src-protocol/wire/bytes.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeTcpPacket, encodeUdpPacket, parsePacket, tcpFlag } from '../src-protocol/wire/packet.ts'
import { BothSides, FarEnds, nativeKinds, sealPacket, seed } from './both-sides.contract-suite.ts'
import type { FilterTable } from './door.ts'
import { clock, endKinds } from './ends.contract-suite.ts'
import {
  Dice,
  OWN_DISCO,
  OWN_V4,
  OWN_V6,
  PEERS_V4,
  PEERS_V6,
  SEEN_V4,
  SEEN_V6,
  VIA_PREFIXES,
} from './random-packets.contract-suite.ts'
import { wrongChecksum } from './rewritten-packets.contract-suite.ts'
import { cutSuperPacket, finish, payloadOf, unfinish } from './super-packets.contract-suite.ts'

const SUPER_PACKETS = 4_000
const AT = '192.0.2.2:41641' as IpPort
const LAN = '10.1.2.3'
const LAN_BY_SITE = 'fd7a:115c:a1e0:b1a:0:7:a01:203'
/** The second is known by another address, the third has no session. */
const [PLAIN, MASKED, SILENT] = [0, 1, 2]

const table: FilterTable = {
  rules: ['0.0.0.0/0', '::/0'].map((prefix) => ({
    sources: [prefix],
    destinations: [{ prefix, firstPort: 0, lastPort: 65_535 }],
    protocols: [6, 17],
  })),
  localNets: [`${OWN_V4}/32`, `${OWN_V6}/128`, ...VIA_PREFIXES],
  shieldsUp: false,
  peerApi: [],
}

function randomBytes(dice: Dice, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = dice.u32()
  return bytes
}

/** With options in either header now and then. */
function randomSuperPacket(dice: Dice, src: string, dst: string, payloadBytes: number): Uint8Array {
  const flow = { src: ipBytes(src), dst: ipBytes(dst), srcPort: 80, dstPort: dice.pick([5000, 5001]) }
  const payload = randomBytes(dice, payloadBytes)
  const isV4 = !src.includes(':')
  const flags = dice.pick([0, tcpFlag.fin, tcpFlag.psh, 0x80, 0x40, tcpFlag.fin | tcpFlag.psh | 0xc0]) | tcpFlag.ack
  const bare = dice.chance(60)
    ? encodeTcpPacket(flow, { flags, seq: dice.u32(), ack: dice.u32(), payload })
    : encodeUdpPacket(flow, payload)
  const isTcp = bare[isV4 ? 9 : 6] === 6
  const at = isV4 ? 20 : 40
  const words = isTcp && dice.chance(50) ? 1 + dice.below(10) : 0
  const options = words > 0 ? Uint8Array.from({ length: words * 4 }, () => 1) : new Uint8Array(0)
  const packet = words > 0 ? concat(bare.subarray(0, at + 20), options, bare.subarray(at + 20)) : bare
  if (words > 0) packet[at + 12] = (5 + words) << 4
  const withIpOptions =
    isV4 && dice.chance(10) ? concat(packet.subarray(0, 20), Uint8Array.of(1, 1, 1, 1), packet.subarray(20)) : packet
  if (withIpOptions !== packet) withIpOptions[0] = 0x46
  const view = new DataView(withIpOptions.buffer)
  if (isV4) {
    view.setUint16(2, withIpOptions.length)
    view.setUint16(4, dice.below(65_536))
  } else {
    view.setUint16(4, withIpOptions.length - 40)
  }
  return withIpOptions
}

test.skipIf(nativeKinds.length === 0).each(nativeKinds.length > 0 ? nativeKinds : endKinds())(
  `[PKT-1.6] [PKT-5.8] $name: ${SUPER_PACKETS} super-packets (seed ${seed})`,
  async (kind) => {
    clock.nowMs = 1_000
    const dice = new Dice(seed)
    const both = await BothSides.open(kind)
    const far = new FarEnds()
    both.doors((door) => {
      door.setFilter(table)
      door.setOwnAddresses({ v4: OWN_V4, v6: OWN_V6 })
      door.setOwnDisco(OWN_DISCO)
    })
    for (const peer of [PLAIN, MASKED, SILENT]) {
      const masquerade = peer === MASKED ? { v4: SEEN_V4, v6: SEEN_V6 } : undefined
      const allowedIps = [`${PEERS_V4[peer]}/32`, `${PEERS_V6[peer]}/128`]
      const keypair = far.create(peer, 'current')
      both.doors((door) => {
        door.setPeer({ peer, allowedIps, jailed: false, masquerade })
        door.setDestination(peer, { udp: AT, relay: false })
        if (peer !== SILENT) door.addKeypair(keypair)
      })
    }
    const open = (peer: number, datagram: Uint8Array) => {
      const opened = far.newest(peer).open(datagram)
      const parsed = opened.ok ? parsePacket(opened.value) : opened
      if (!opened.ok || !parsed.ok) throw new Error('what left cannot be read')
      return Uint8Array.from(opened.value.subarray(0, parsed.value.transportOffset + parsed.value.transport.length))
    }
    const reached = { joined: 0, alone: 0, segments: 0, masked: 0, via: 0, silent: 0, unrouted: 0, forbidden: 0 }

    for (let done = 0; done < SUPER_PACKETS; done++) {
      const peer = dice.pick([PLAIN, PLAIN, MASKED, MASKED, SILENT])
      const isV6 = dice.chance(40)
      const isVia = !isV6 && dice.chance(30)
      const source = isV6 ? OWN_V6 : isVia ? LAN : OWN_V4
      const target = dice.chance(92)
        ? (isV6 ? PEERS_V6 : PEERS_V4)[peer]!
        : isV6
          ? dice.pick(['2001:db8::9', 'ff02::1'])
          : dice.pick(['8.8.8.8', '224.0.0.1'])
      const isAlone = dice.chance(20)
      const segmentBytes = isAlone ? 0 : dice.pick([1, 7, 100, 535, 1000, 1208, 1219, 1220, 1240, 1400])
      const most = Math.min(65_000, segmentBytes * dice.pick([1, 2, 3, 10, 60]))
      const packet = randomSuperPacket(dice, source, target, isAlone ? dice.below(1200) : 1 + dice.below(most))
      if (isVia && peer !== SILENT) {
        // A flow that this answers.
        const flow = {
          src: ipBytes(PEERS_V6[peer]!),
          dst: ipBytes(LAN_BY_SITE),
          srcPort: dice.pick([5000, 5001]),
          dstPort: 80,
        }
        const opener = dice.chance(60)
          ? encodeTcpPacket(flow, { flags: tcpFlag.ack })
          : encodeUdpPacket(flow, new Uint8Array(3))
        both.receive(AT, sealPacket(far.newest(peer), opener))
        await both.compare(`before super-packet ${done}`)
      }
      const pieces = isAlone ? [finish(packet)] : cutSuperPacket(packet, segmentBytes)
      both.fromHostJoined(isAlone ? unfinish(pieces[0]!) : packet, segmentBytes, pieces)
      const seen = await both.compare(`super-packet ${done}`)

      const left = seen.sent.map(({ bytes }) => open(peer, bytes))
      for (const piece of left) expect([done, wrongChecksum(piece)]).toEqual([done, undefined])
      if (left.length > 0) expect(toHex(concat(...left.map(payloadOf)))).toBe(toHex(payloadOf(packet)))
      reached.segments += pieces.length
      reached.joined += Number(left.length > 1)
      reached.alone += Number(isAlone)
      reached.silent += Number(seen.events.some((event) => event.kind === 'noSession'))
      reached.masked += Number(left.length > 0 && peer === MASKED && !isVia)
      reached.via += Number(left.length > 0 && left[0]![0]! >> 4 === 6 && isVia)
      reached.unrouted = seen.drops['out-no-route'] ?? 0
      reached.forbidden = seen.drops['out-multicast'] ?? 0
    }
    for (const [what, times] of Object.entries(reached)) expect([what, times > 20]).toEqual([what, true])
    expect(reached.segments).toBeGreaterThan(SUPER_PACKETS * 4)
    await both.close()
  },
  60_000,
)
