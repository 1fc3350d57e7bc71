/**
 * Gives each node its address: the next one above the last given, around the range once, so that the address of a deleted
 * node rests for long. Skips network and broadcast, the service addresses and the corner that ChromeOS uses.
 */
import type { IpText, PrefixText } from '../../src-contract/ids.ts'
import { ipText, type Prefix, parseIp, parsePrefix } from '../../src-protocol/wire/ip.ts'

const RESERVED: readonly (readonly [first: bigint, last: bigint])[] = [
  '100.100.100.100/32',
  '100.115.92.0/23',
  'fd7a:115c:a1e0::53/128',
].map((text) => bounds(mustPrefix(text)))

export class AddressPool {
  readonly #first: bigint
  readonly #last: bigint
  readonly #bytes: 4 | 16
  readonly #used = new Set<bigint>()
  #cursor: bigint

  constructor(prefix: PrefixText, used: Iterable<IpText>) {
    const parsed = mustPrefix(prefix)
    const [first, last] = bounds(parsed)
    this.#bytes = parsed.ip.length === 4 ? 4 : 16
    this.#first = first + 1n
    this.#last = this.#bytes === 4 ? last - 1n : last
    this.#cursor = first
    for (const address of used) {
      const value = numberOf(address)
      this.#used.add(value)
      if (value >= this.#first && value <= this.#last && value > this.#cursor) this.#cursor = value
    }
  }

  /** Undefined when the range is full. */
  take(): IpText | undefined {
    const size = this.#last - this.#first + 1n
    if (BigInt(this.#used.size) >= size && this.#bytes === 4) return undefined
    let candidate = this.#cursor
    for (let tried = 0n; tried < size; tried++) {
      candidate = candidate >= this.#last ? this.#first : candidate + 1n
      const corner = RESERVED.find(
        ([first, last]) => candidate >= first && candidate <= last && candidate > 0xffffffffn === (this.#bytes === 16),
      )
      if (corner !== undefined) {
        if (corner[1] >= this.#last) candidate = this.#last
        else candidate = corner[1]
        continue
      }
      if (this.#used.has(candidate)) continue
      this.#used.add(candidate)
      this.#cursor = candidate
      return textOf(candidate, this.#bytes)
    }
    return undefined
  }

  free(address: IpText): void {
    this.#used.delete(numberOf(address))
  }
}

function mustPrefix(text: string): Prefix {
  const parsed = parsePrefix(text)
  if (!parsed.ok) throw new TypeError(`not a prefix: ${text}`)
  return parsed.value
}

function bounds(prefix: Prefix): readonly [bigint, bigint] {
  const size = 1n << BigInt(prefix.ip.length * 8 - prefix.bits)
  const first = toNumber(prefix.ip) & ~(size - 1n)
  return [first, first + size - 1n]
}

function toNumber(ip: Uint8Array): bigint {
  let value = 0n
  for (const byte of ip) value = (value << 8n) | BigInt(byte)
  return value
}

function numberOf(address: IpText): bigint {
  const parsed = parseIp(address)
  if (!parsed.ok) throw new TypeError(`not an address: ${address}`)
  return toNumber(parsed.value)
}

function textOf(value: bigint, length: 4 | 16): IpText {
  const ip = new Uint8Array(length)
  for (let i = length - 1, rest = value; i >= 0; i--, rest >>= 8n) ip[i] = Number(rest & 0xffn)
  return ipText(ip)
}
