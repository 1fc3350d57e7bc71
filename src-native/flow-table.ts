/**
 * Flows we may be answered on: a fixed number of five-tuples, least recently used out first. No expiry by time.
 *
 * Hash chains and the order of use live in typed arrays: a lookup in the packet path allocates nothing.
 */
import type { PacketFields } from './packet-fields.ts'

export const FLOW_CAPACITY = 512
const BUCKETS = 1024
const NONE = -1
/** protocol and family · both ports · source · destination */
const KEY_WORDS = 10

export class FlowTable {
  readonly #keys: Int32Array
  readonly #chain: Int32Array
  readonly #newer: Int32Array
  readonly #older: Int32Array
  readonly #buckets = new Int32Array(BUCKETS).fill(NONE)
  readonly #capacity: number
  readonly #probe = new Int32Array(KEY_WORDS)
  #used = 0
  #newest = NONE
  #oldest = NONE

  constructor(capacity = FLOW_CAPACITY) {
    this.#capacity = capacity
    this.#keys = new Int32Array(capacity * KEY_WORDS)
    this.#chain = new Int32Array(capacity).fill(NONE)
    this.#newer = new Int32Array(capacity).fill(NONE)
    this.#older = new Int32Array(capacity).fill(NONE)
  }

  get size(): number {
    return this.#used
  }

  /** Remembers the flow that answers this outbound packet. */
  addReverse(p: PacketFields): void {
    this.#load(p.protocol, p.family, p.destinationPort, p.sourcePort, p.d0, p.d1, p.d2, p.d3, p.s0, p.s1, p.s2, p.s3)
    const bucket = this.#bucketOfProbe()
    let slot = this.#find(bucket)
    if (slot === NONE) {
      slot = this.#used < this.#capacity ? this.#used++ : this.#evict()
      this.#keys.set(this.#probe, slot * KEY_WORDS)
      this.#chain[slot] = this.#buckets[bucket]!
      this.#buckets[bucket] = slot
    } else {
      this.#unlink(slot)
    }
    this.#pushNewest(slot)
  }

  /** Is this inbound packet an answer? */
  has(p: PacketFields): boolean {
    if (this.#used === 0) return false
    this.#load(p.protocol, p.family, p.sourcePort, p.destinationPort, p.s0, p.s1, p.s2, p.s3, p.d0, p.d1, p.d2, p.d3)
    const slot = this.#find(this.#bucketOfProbe())
    if (slot === NONE) return false
    if (slot !== this.#newest) {
      this.#unlink(slot)
      this.#pushNewest(slot)
    }
    return true
  }

  #load(
    protocol: number,
    family: number,
    portA: number,
    portB: number,
    a0: number,
    a1: number,
    a2: number,
    a3: number,
    b0: number,
    b1: number,
    b2: number,
    b3: number,
  ): void {
    const k = this.#probe
    k[0] = (protocol << 8) | family
    k[1] = (portA << 16) | portB
    k[2] = a0
    k[3] = a1
    k[4] = a2
    k[5] = a3
    k[6] = b0
    k[7] = b1
    k[8] = b2
    k[9] = b3
  }

  #bucketOfProbe(): number {
    return this.#bucketOf(this.#probe, 0)
  }

  #bucketOf(words: Int32Array, at: number): number {
    let h = 0
    for (let i = 0; i < KEY_WORDS; i++) h = Math.imul(h ^ words[at + i]!, 0x9e3779b1) + i
    return (h ^ (h >>> 15)) & (BUCKETS - 1)
  }

  #find(bucket: number): number {
    for (let slot = this.#buckets[bucket]!; slot !== NONE; slot = this.#chain[slot]!) {
      if (this.#equalsProbe(slot)) return slot
    }
    return NONE
  }

  #equalsProbe(slot: number): boolean {
    const at = slot * KEY_WORDS
    for (let i = 0; i < KEY_WORDS; i++) if (this.#keys[at + i] !== this.#probe[i]) return false
    return true
  }

  #evict(): number {
    const slot = this.#oldest
    this.#unlink(slot)
    const bucket = this.#bucketOf(this.#keys, slot * KEY_WORDS)
    if (this.#buckets[bucket] === slot) {
      this.#buckets[bucket] = this.#chain[slot]!
      return slot
    }
    let before = this.#buckets[bucket]!
    while (this.#chain[before] !== slot) before = this.#chain[before]!
    this.#chain[before] = this.#chain[slot]!
    return slot
  }

  #unlink(slot: number): void {
    const newer = this.#newer[slot]!
    const older = this.#older[slot]!
    if (newer === NONE) this.#newest = older
    else this.#older[newer] = older
    if (older === NONE) this.#oldest = newer
    else this.#newer[older] = newer
  }

  #pushNewest(slot: number): void {
    this.#newer[slot] = NONE
    this.#older[slot] = this.#newest
    if (this.#newest !== NONE) this.#newer[this.#newest] = slot
    this.#newest = slot
    if (this.#oldest === NONE) this.#oldest = slot
  }
}
