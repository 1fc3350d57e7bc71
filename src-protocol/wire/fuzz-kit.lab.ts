/**
 * For `*.fuzz.test.ts`: seeded mutations of valid messages. Every run draws a new seed and names it when something breaks;
 * FUZZ_SEED repeats a run, FUZZ_ROUNDS multiplies the work. A seed that failed becomes a named test beside the codec.
 */
import { expect } from 'vitest'

const BORING = [0, 1, 2, 3, 4, 0x20, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff]

export class Random {
  readonly seed: number
  #state: number

  constructor(seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))) {
    this.seed = seed
    this.#state = seed
  }
  /** An integer in [0, limit). */
  below(limit: number): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }
  /** Cuts anywhere, empty pieces included. */
  slices(bytes: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = []
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + this.below(this.below(4) === 0 ? bytes.length + 1 : 9))
      pieces.push(bytes.slice(at, end))
      at = end
    }
    return pieces
  }
}

/** One to four changes: bits, bytes, lengths, pieces moved or borrowed from another sample. */
export function mutate(random: Random, samples: readonly Uint8Array[]): Uint8Array {
  let bytes = random.pick(samples).slice()
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(bytes.length + 1)
    switch (random.below(8)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << random.below(8)
        break
      case 1:
        if (at < bytes.length) bytes[at] = random.pick(BORING)
        break
      case 2:
        if (at < bytes.length) bytes[at] = random.below(256)
        break
      case 3:
        bytes = bytes.slice(0, at)
        break
      case 4:
        bytes = joined(bytes, random.bytes(random.below(random.below(8) === 0 ? 3_000 : 20)))
        break
      case 5:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + random.below(8))))
        break
      case 6:
        bytes = joined(bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at))
        break
      default: {
        const other = random.pick(samples)
        bytes = joined(bytes.subarray(0, at), other.subarray(random.below(other.length + 1)))
      }
    }
  }
  return bytes
}

/** The same for text: characters from the samples and from what parsers trip over. */
export function mutateText(random: Random, samples: readonly string[], alphabet: string): string {
  let text = random.pick(samples)
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(text.length + 1)
    const drop = random.below(3)
    const insert = random.below(3) === 0 ? random.pick(samples).slice(random.below(8)) : random.pick([...alphabet])
    text = text.slice(0, at) + (random.below(3) === 0 ? '' : insert) + text.slice(at + drop)
  }
  return text
}

/** Runs `check` on this many inputs; whatever it throws comes out with the seed and the input. */
export function fuzz<T>(rounds: number, input: (random: Random) => T, check: (value: T, random: Random) => void): void {
  const random = new Random()
  const count = rounds * Number(process.env.FUZZ_ROUNDS ?? 1)
  for (let round = 0; round < count; round++) {
    const value = input(random)
    try {
      check(value, random)
    } catch (cause) {
      const shown = value instanceof Uint8Array ? `hex ${Buffer.from(value).toString('hex')}` : JSON.stringify(value)
      throw new Error(`FUZZ_SEED=${random.seed}, round ${round}, input ${shown}`, { cause })
    }
  }
}

type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string }

/** What decodes, encodes to something that decodes to the same; a refusal has a short fixed reason. */
export function expectStable<T, Wire>(
  wire: Wire,
  decode: (wire: Wire) => Outcome<T>,
  encode: (value: T) => Wire,
): boolean {
  const decoded = decode(wire)
  if (!decoded.ok) {
    expectReason(decoded.reason)
    return false
  }
  const again = decode(encode(decoded.value))
  expect(again).toEqual(decoded)
  return true
}

export function expectReason(reason: string): void {
  if (!/^[a-z0-9][a-z0-9-]{1,39}$/.test(reason)) throw new Error(`not a drop label: ${reason}`)
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
