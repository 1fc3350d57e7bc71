/**
 * The few fields of an IP packet that routing and the filter look at, read into one reused object: the packet path
 * allocates nothing here. `src-protocol/wire/packet.ts` is the full, allocating parser; this one follows the rules of
 * the packet filter, which are its own: what it does not fully understand is {@link UNKNOWN}, and never accepted.
 *
 * Extension headers of IPv6 other than Fragment are not walked: they count as that "protocol".
 */
export const UNKNOWN = -1
/** A later fragment: it has no ports, and is harmless without its first, which the filter did see. */
export const FRAGMENT = -2

export const ICMP4 = 1
export const IGMP = 2
export const TCP = 6
export const UDP = 17
export const ICMP6 = 58
export const TSMP = 99
export const SCTP = 132
const V6_FRAGMENT = 44

const TCP_SYN = 0x02
const TCP_ACK = 0x10
/** A later fragment below this offset (in units of 8 bytes) could overwrite the transport header that was judged. */
const MIN_FRAGMENT_OFFSET = 10

export class PacketFields {
  family: 4 | 6 = 4
  /** IP protocol number, UNKNOWN or FRAGMENT. */
  protocol = UNKNOWN
  /** From the IP header; 0 when the header is not valid. */
  totalBytes = 0
  transportAt = 0
  /** Addresses as big-endian words; v4 in the first. */
  s0 = 0
  s1 = 0
  s2 = 0
  s3 = 0
  d0 = 0
  d1 = 0
  d2 = 0
  d3 = 0
  sourcePort = 0
  destinationPort = 0
  tcpFlags = 0
  /** -1 without eight bytes of ICMP. */
  icmpType = -1
  icmpCode = 0
  icmpIdentifier = 0
  bytes = 0

  /** Reads a packet; false when not even addresses can be told (version, lengths). */
  read(packet: Uint8Array, length: number): boolean {
    this.protocol = UNKNOWN
    this.totalBytes = 0
    this.sourcePort = 0
    this.destinationPort = 0
    this.tcpFlags = 0
    this.icmpType = -1
    this.bytes = length
    if (length < 20) return false
    const version = packet[0]! >> 4
    if (version === 4) return this.#readV4(packet, length)
    if (version === 6 && length >= 40) return this.#readV6(packet, length)
    return false
  }

  /** SYN without ACK: somebody wants a new connection. */
  isSyn(): boolean {
    return (this.tcpFlags & (TCP_SYN | TCP_ACK)) === TCP_SYN
  }

  #readV4(p: Uint8Array, length: number): boolean {
    const headerBytes = (p[0]! & 0x0f) * 4
    const total = (p[2]! << 8) | p[3]!
    if (headerBytes < 20 || total < headerBytes || total > length) return false
    this.family = 4
    this.totalBytes = total
    this.s0 = word(p, 12)
    this.d0 = word(p, 16)
    this.s1 = this.s2 = this.s3 = this.d1 = this.d2 = this.d3 = 0
    this.transportAt = headerBytes
    const fragment = (p[6]! << 8) | p[7]!
    this.#readTransport(p, p[9]!, fragment & 0x1fff, (fragment & 0x2000) !== 0)
    return true
  }

  #readV6(p: Uint8Array, length: number): boolean {
    const total = 40 + ((p[4]! << 8) | p[5]!)
    if (total > length) return false
    this.family = 6
    this.totalBytes = total
    this.s0 = word(p, 8)
    this.s1 = word(p, 12)
    this.s2 = word(p, 16)
    this.s3 = word(p, 20)
    this.d0 = word(p, 24)
    this.d1 = word(p, 28)
    this.d2 = word(p, 32)
    this.d3 = word(p, 36)
    this.transportAt = 40
    if (p[6] !== V6_FRAGMENT) {
      this.#readTransport(p, p[6]!, 0, false)
    } else if (total >= 48) {
      this.transportAt = 48
      this.#readTransport(p, p[40]!, ((p[42]! << 8) | p[43]!) >> 3, false)
    }
    return true
  }

  #readTransport(p: Uint8Array, protocol: number, fragmentOffset: number, moreFragments: boolean): void {
    if (fragmentOffset > 0) {
      // TSMP is never cut; what says so would pass by all that keeps it from the host. [FLT-10.8]
      this.protocol = fragmentOffset < MIN_FRAGMENT_OFFSET || protocol === TSMP ? UNKNOWN : FRAGMENT
      return
    }
    const at = this.transportAt
    const available = this.totalBytes - at
    if (protocol === 0 || protocol === 255 || available < this.#minimum(protocol)) return
    if (protocol === TSMP && moreFragments) return
    this.protocol = protocol
    if (protocol === TCP || protocol === UDP || protocol === SCTP) {
      this.sourcePort = (p[at]! << 8) | p[at + 1]!
      this.destinationPort = (p[at + 2]! << 8) | p[at + 3]!
      if (protocol === TCP) this.tcpFlags = p[at + 13]!
    } else if (this.isIcmp() && available >= 8) {
      this.icmpType = p[at]!
      this.icmpCode = p[at + 1]!
      this.icmpIdentifier = (p[at + 4]! << 8) | p[at + 5]!
    }
  }

  /** ICMP of this packet's own family. */
  isIcmp(): boolean {
    return this.protocol === (this.family === 4 ? ICMP4 : ICMP6)
  }

  #minimum(protocol: number): number {
    switch (protocol) {
      case ICMP4:
        return this.family === 4 ? 4 : 0
      case ICMP6:
        return this.family === 6 ? 4 : 0
      case IGMP:
        return this.family === 4 ? 8 : 0
      case TCP:
        return 20
      case UDP:
        return 8
      case SCTP:
        return 12
      case TSMP:
        return 7
      default:
        return 0
    }
  }
}

function word(p: Uint8Array, at: number): number {
  return ((p[at]! << 24) | (p[at + 1]! << 16) | (p[at + 2]! << 8) | p[at + 3]!) >>> 0
}
