/**
 * Addresses that names under the bypass's domains were answered with, for as long as programs may use them. Bounded; the
 * oldest go first. Pure but for the clock that callers bring.
 */
import type { IpText, Ms } from '../../../src-contract/ids.ts'
import { decodeDns, dnsType, isDnsResponse } from '../../../src-protocol/wire/dns.ts'
import { isWithin } from '../../../src-protocol/wire/dns-name.ts'
import { decodeRecordData } from '../../../src-protocol/wire/dns-record.ts'
import { mayPassWithName } from './may-pass.ts'

const MAX_ADDRESSES = 4_096
/** Programs go on using an address after its time to live: connections last. */
const SHORTEST_MS = 10 * 60_000
const LONGEST_MS = 24 * 3_600_000

export class LearnedNames {
  readonly #byAddress = new Map<IpText, { readonly name: string; readonly untilMs: Ms }>()

  /** An answer that a program of this machine gets. Tells whether anything is new. */
  note(answer: Uint8Array, suffixes: readonly string[], now: Ms): boolean {
    if (suffixes.length === 0) return false
    const decoded = decodeDns(answer)
    if (!decoded.ok || !isDnsResponse(decoded.value)) return false
    const message = decoded.value
    const name = message.question?.name
    if (name === undefined || !suffixes.some((suffix) => isWithin(name, suffix))) return false
    let isNews = false
    for (const record of message.answers) {
      if (record.type !== dnsType.A && record.type !== dnsType.AAAA) continue
      const data = decodeRecordData(message, record)
      if (!data.ok || data.value.kind !== 'address' || !mayPassWithName(data.value.address)) continue
      const lifeMs = Math.min(Math.max(record.ttlSeconds * 1000, SHORTEST_MS), LONGEST_MS)
      isNews ||= !this.#byAddress.has(data.value.address)
      this.#byAddress.delete(data.value.address)
      this.#byAddress.set(data.value.address, { name, untilMs: now + lifeMs })
    }
    for (const oldest of this.#byAddress.keys()) {
      if (this.#byAddress.size <= MAX_ADDRESSES) break
      this.#byAddress.delete(oldest)
    }
    return isNews
  }

  current(suffixes: readonly string[], now: Ms): { readonly address: IpText; readonly name: string }[] {
    for (const [address, { untilMs }] of this.#byAddress) if (untilMs <= now) this.#byAddress.delete(address)
    return [...this.#byAddress]
      .filter(([, { name }]) => suffixes.some((suffix) => isWithin(name, suffix)))
      .map(([address, { name }]) => ({ address, name }))
  }
}
