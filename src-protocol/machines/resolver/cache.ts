/** Replies of other servers, kept as long as they say, within bounds of ours. A machine: the clock is an argument. */
import type { Ms } from '../../../src-contract/ids.ts'
import { type DnsMessage, type DnsQuery, dnsRcode, isCheckingDisabled, keepSeconds } from '../../wire/dns.ts'

/** Nobody waits longer than this for a change at home. */
const LONGEST_KEEP_SECONDS = 300
const LONGEST_NEGATIVE_SECONDS = 30
const MAX_ENTRIES = 4_096
const MAX_TOTAL_BYTES = 4 << 20

interface Entry {
  readonly message: DnsMessage
  readonly storedMs: Ms
  readonly untilMs: Ms
}

export interface Cached {
  readonly message: DnsMessage
  readonly ageSeconds: number
}

/** Equal for questions to which the same reply is right; undefined: this exchange is between two parties only. */
export function questionKey({ question, edns, ...query }: DnsQuery): string | undefined {
  if (edns?.hasOptions === true) return undefined
  const flavour = edns === undefined ? 0 : edns.isDnssecOk ? 2 : 1
  const disabled = isCheckingDisabled({ question, edns, ...query }) ? 4 : 0
  return `${question.type} ${question.class} ${flavour + disabled} ${question.name}`
}

export class DnsCache {
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  get size(): number {
    return this.#entries.size
  }

  get(key: string, now: Ms): Cached | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (now >= entry.untilMs) {
      this.#delete(key)
      return undefined
    }
    return { message: entry.message, ageSeconds: Math.floor((now - entry.storedMs) / 1_000) }
  }

  put(key: string, message: DnsMessage, now: Ms): void {
    const says = keepSeconds(message)
    if (says === undefined) return
    const isNegative = message.rcode === dnsRcode.noName || message.answers.length === 0
    const seconds = Math.min(says, isNegative ? LONGEST_NEGATIVE_SECONDS : LONGEST_KEEP_SECONDS)
    if (seconds <= 0) return
    this.#delete(key)
    this.#entries.set(key, { message, storedMs: now, untilMs: now + seconds * 1_000 })
    this.#bytes += message.bytes.length
    // the oldest goes first
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_ENTRIES && this.#bytes <= MAX_TOTAL_BYTES) break
      this.#delete(oldest)
    }
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }

  #delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.message.bytes.length
  }
}
