/** Changing a checksum along with the words it covers. Sums are of big-endian 16-bit words. [RFC 1071, RFC 1624] */

/** Sum of the bytes `from` … `to`; an odd last byte counts as the high half of a word. */
export function sumOf(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0
  for (let i = from; i < to; i += 2) sum += (bytes[i]! << 8) | (i + 1 < to ? bytes[i + 1]! : 0)
  return sum
}

/** A long sum as one word: carries are added again. */
export function folded(sum: number): number {
  let rest = sum
  while (rest > 0xffff) rest = (rest & 0xffff) + Math.floor(rest / 0x10000)
  return rest
}

export function getU16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  putU16(bytes, at, value >>> 16)
  putU16(bytes, at + 2, value & 0xffff)
}

/** Words that sum to `removed` were replaced by words that sum to `added`. [RFC 1624, equation 3] */
export function changeChecksum(bytes: Uint8Array, at: number, removed: number, added: number): void {
  const sum = folded((~getU16(bytes, at) & 0xffff) + (~folded(removed) & 0xffff) + added)
  putU16(bytes, at, ~sum & 0xffff)
}

/** The same for UDP, where zero says that there is no checksum. [RFC 768] */
export function changeUdpChecksum(bytes: Uint8Array, at: number, removed: number, added: number): void {
  if (getU16(bytes, at) === 0) return
  changeChecksum(bytes, at, removed, added)
  if (getU16(bytes, at) === 0) putU16(bytes, at, 0xffff)
}

/** Header checksum of an IPv4 header, stored in place. */
export function checksumIpv4Header(bytes: Uint8Array, at: number, headerBytes: number): void {
  putU16(bytes, at + 10, 0)
  putU16(bytes, at + 10, ~folded(sumOf(bytes, at, at + headerBytes)) & 0xffff)
}
