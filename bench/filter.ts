/** How many packets a second one core judges against a thousand rules: the native filter, and the twin's. */
import type { Sheet } from '../lab/measure-line.ts'
import { requireAddon } from '../src-native/addon.ts'
import type { CompiledRule, FilterTable } from '../src-native/door.ts'
import { packFilter } from '../src-native/pack-tables.ts'
import { PacketFields } from '../src-native/packet-fields.ts'
import { PacketFilter } from '../src-native/packet-filter.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeIcmpEcho, encodeTcpPacket, encodeUdpPacket, tcpFlag } from '../src-protocol/wire/packet.ts'

const RULES = 1000
const PACKETS = 4096
const TURN_MS = 300
const MUST = 500_000
const AIM = 2_000_000

export async function benchFilter({
  sheet,
  rounds,
}: {
  readonly sheet: Sheet
  readonly rounds: number
}): Promise<void> {
  const { dataPath } = requireAddon('this bench')
  const table: FilterTable = {
    rules: Array.from({ length: RULES }, (_, n) => ruleOf(n)),
    localNets: ['100.64.0.1/32', 'fd7a:115c:a1e0::1/128', '10.0.0.0/8'],
    shieldsUp: false,
    peerApi: [{ address: '100.64.0.1', port: 40_000 }],
  }
  const packets = Array.from({ length: PACKETS }, (_, n) => packetOf(n))
  const packed = packFilter(table)
  const list = Buffer.concat(packets.flatMap((packet) => [lengthOf(packet), packet]))
  const best = { native: 0, twin: 0 }
  for (let round = 0; round < rounds; round++) {
    best.native = Math.max(best.native, dataPath.filterRate(packed, list, TURN_MS))
    best.twin = Math.max(best.twin, twinRate(table, packets))
  }
  const goal = `≥ ${MUST / 1e6} M/s, aim ≥ ${AIM / 1e6} M/s`
  for (const [name, rate] of Object.entries(best)) {
    const isNative = name === 'native'
    sheet.add({
      case: `${RULES} rules (${name})`,
      ours: rate / 1e6,
      stock: null,
      unit: 'M packets/s',
      must: isNative ? goal : null,
      ok: !isNative || rate >= MUST,
    })
  }
}

/** As a network of some size has them: groups of machines to services, a few wide ones, both families. */
function ruleOf(n: number): CompiledRule {
  const v6 = n % 4 === 3
  const source = v6 ? `fd7a:115c:a1e0::${(n % 500).toString(16)}/128` : `100.${64 + (n % 32)}.${n % 250}.0/24`
  const destination = v6 ? 'fd7a:115c:a1e0::1/128' : n % 3 === 0 ? '10.0.0.0/8' : '100.64.0.1/32'
  return {
    sources: n % 50 === 0 ? ['100.64.0.0/10'] : [source],
    destinations: [
      { prefix: destination, firstPort: 20 + (n % 60), lastPort: 20 + (n % 60) },
      { prefix: destination, firstPort: 8000, lastPort: 8000 + (n % 100) },
    ],
    protocols: [6, 17, 1, 58],
  }
}

function packetOf(n: number): Uint8Array {
  const v6 = n % 4 === 3
  const src = ipBytes(v6 ? `fd7a:115c:a1e0::${(n % 700).toString(16)}` : `100.${64 + (n % 40)}.${n % 251}.${n % 253}`)
  const dst = ipBytes(v6 ? 'fd7a:115c:a1e0::1' : n % 3 === 0 ? `10.1.${n % 200}.7` : '100.64.0.1')
  const ports = { src, dst, srcPort: 40_000 + (n % 1000), dstPort: n % 2 === 0 ? 20 + (n % 70) : 8000 + (n % 150) }
  switch (n % 5) {
    case 0:
    case 1:
      return encodeTcpPacket(ports, { flags: tcpFlag.syn })
    case 2:
      return encodeTcpPacket(ports, { flags: tcpFlag.ack })
    case 3:
      return encodeUdpPacket(ports, new Uint8Array(100))
    default:
      return encodeIcmpEcho({ src, dst, kind: 'request', id: 1, seq: n & 0xffff })
  }
}

function twinRate(table: FilterTable, packets: readonly Uint8Array[]): number {
  const filter = new PacketFilter(table)
  const fields = new PacketFields()
  const started = performance.now()
  let judged = 0
  let now = started
  do {
    for (const packet of packets) if (fields.read(packet, packet.length)) filter.inbound(fields)
    judged += packets.length
    now = performance.now()
  } while (now - started < TURN_MS)
  return (judged / (now - started)) * 1000
}

function lengthOf(packet: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, packet.length, true)
  return bytes
}
