/**
 * Asking other servers: one question at several of them, a little after one another, over UDP and then TCP; the first
 * usable reply wins. A server that stayed silent goes to the end of the line for a while. A machine: no sockets, no
 * clock; the shell sends and reports. [docs/rules/dns.md DNS-8]
 */
import type { Ms } from '../../../src-contract/ids.ts'
import {
  type DnsMessage,
  type DnsQuery,
  decodeDns,
  dnsRcode,
  isDnsResponse,
  isTruncated,
  sameQuestion,
  withDnsId,
} from '../../wire/dns.ts'
import { encryptedForm, type Upstream, upstreamKey } from './upstream.ts'

/** The next server is asked as well when this one has said nothing for so long. */
const HEDGE_MS: Ms = 250
/** An encrypted form gets this head start before its plain one. */
const ENCRYPTED_HEAD_START_MS: Ms = 500
/** A server that only speaks TCP, or a lost datagram. */
const SECOND_ROUND_MS: Ms = 1_000
const THIRD_ROUND_MS: Ms = 2_000
/** Who asked has given up by then. */
const DEADLINE_MS: Ms = 6_000
const SLOW_FOR_MS: Ms = 30_000
const MAX_OPEN = 1_000

export type Via = 'udp' | 'tcp' | 'http'

export type ForwardEffect =
  /** Replies and failures come back under `attempt`, until `cancel`. */
  | {
      readonly kind: 'send'
      readonly attempt: number
      readonly upstream: Upstream
      readonly via: Via
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'cancel'; readonly attempt: number }
  | { readonly kind: 'done'; readonly question: number; readonly outcome: ForwardOutcome }

export type ForwardOutcome =
  | { readonly kind: 'reply'; readonly message: DnsMessage; readonly from: Upstream }
  /** A server's refusal when all refused, else nothing. */
  | { readonly kind: 'failed'; readonly message: DnsMessage | undefined }

interface Planned {
  readonly atMs: Ms
  readonly upstream: Upstream
  readonly via: Via
}

interface Open {
  readonly id: number
  readonly query: DnsQuery
  readonly planned: Planned[]
  readonly attempts: Map<number, Attempt>
  readonly deadlineMs: Ms
  refusal: DnsMessage | undefined
}

interface Attempt {
  readonly question: number
  readonly upstream: Upstream
  readonly via: Via
  readonly dnsId: number
  readonly startedMs: Ms
}

export interface ForwarderOptions {
  /** For ids that nobody can guess. */
  readonly random16: () => number
}

export class Forwarder {
  readonly #random16: () => number
  readonly #open = new Map<number, Open>()
  readonly #attempts = new Map<number, Attempt>()
  /** Servers that were silent or refused, until when. */
  readonly #slow = new Map<string, Ms>()
  #next = 1
  /** Replies that did not fit their question: reason → count. */
  readonly lies = new Map<string, number>()

  constructor({ random16 }: ForwarderOptions) {
    this.#random16 = random16
  }

  get openCount(): number {
    return this.#open.size
  }

  /** Undefined: too much is open already, or there is nobody to ask. */
  ask(
    query: DnsQuery,
    upstreams: readonly Upstream[],
    now: Ms,
  ): { readonly question: number; readonly effects: ForwardEffect[] } | undefined {
    if (this.#open.size >= MAX_OPEN || upstreams.length === 0) return undefined
    const id = this.#next++
    const planned = this.#plan(upstreams, now)
    this.#open.set(id, { id, query, planned, attempts: new Map(), deadlineMs: now + DEADLINE_MS, refusal: undefined })
    return { question: id, effects: this.#advance(this.#open.get(id)!, now) }
  }

  handleReply(attempt: number, bytes: Uint8Array, now: Ms): ForwardEffect[] {
    const known = this.#attempts.get(attempt)
    const open = known && this.#open.get(known.question)
    if (known === undefined || open === undefined) return []
    const decoded = decodeDns(bytes)
    const lie = this.#lie(decoded, known, open)
    if (lie !== undefined) {
      this.lies.set(lie, (this.lies.get(lie) ?? 0) + 1)
      // someone else may have sent that datagram; a stream or an HTTPS reply is its server's own
      return known.via === 'udp' ? [] : this.handleFailure(attempt, now)
    }
    if (!decoded.ok) return []
    const message = decoded.value
    if (known.via === 'udp' && isTruncated(message)) {
      const effects = this.#end(open, attempt)
      const isPlannedAnyway = (p: Planned) => p.via === 'tcp' && upstreamKey(p.upstream) === upstreamKey(known.upstream)
      remove(open.planned, isPlannedAnyway)
      open.planned.unshift({ atMs: now, upstream: known.upstream, via: 'tcp' })
      return [...effects, ...this.#advance(open, now)]
    }
    if (message.rcode !== dnsRcode.success && message.rcode !== dnsRcode.noName) {
      open.refusal = message
      this.#slow.set(upstreamKey(known.upstream), now + SLOW_FOR_MS)
      remove(open.planned, ({ upstream }) => upstreamKey(upstream) === upstreamKey(known.upstream))
      return this.handleFailure(attempt, now)
    }
    this.#noteWinner(open, known, now)
    return this.#finish(open, { kind: 'reply', message, from: known.upstream })
  }

  /** Refused, reset, unreachable, closed. */
  handleFailure(attempt: number, now: Ms): ForwardEffect[] {
    const known = this.#attempts.get(attempt)
    const open = known && this.#open.get(known.question)
    if (known === undefined || open === undefined) return []
    this.#slow.set(upstreamKey(known.upstream), now + SLOW_FOR_MS)
    const effects = this.#end(open, attempt)
    const next = open.planned[0]
    if (next !== undefined && next.atMs > now) open.planned[0] = { ...next, atMs: now }
    return [...effects, ...this.#advance(open, now)]
  }

  wake(now: Ms): ForwardEffect[] {
    const effects: ForwardEffect[] = []
    for (const open of [...this.#open.values()]) {
      if (now >= open.deadlineMs) effects.push(...this.#finish(open, { kind: 'failed', message: open.refusal }))
      else effects.push(...this.#advance(open, now))
    }
    return effects
  }

  nextWake(): Ms | undefined {
    let next: Ms | undefined
    for (const open of this.#open.values()) {
      const own = Math.min(open.deadlineMs, open.planned[0]?.atMs ?? Number.POSITIVE_INFINITY)
      if (next === undefined || own < next) next = own
    }
    return next
  }

  /** The network changed: what is open starts over nowhere, it fails; silence of before says nothing of now. */
  reset(): ForwardEffect[] {
    this.#slow.clear()
    return [...this.#open.values()].flatMap((open) => this.#finish(open, { kind: 'failed', message: open.refusal }))
  }

  #plan(upstreams: readonly Upstream[], now: Ms): Planned[] {
    for (const [key, untilMs] of this.#slow) if (untilMs <= now) this.#slow.delete(key)
    const wanted = new Map<string, Upstream>()
    for (const upstream of upstreams) {
      const encrypted = encryptedForm(upstream)
      if (encrypted !== undefined) wanted.set(upstreamKey(encrypted), encrypted)
    }
    for (const upstream of upstreams) wanted.set(upstreamKey(upstream), upstream)
    const line = [...wanted.entries()]
    const ordered = [...line.filter(([key]) => !this.#slow.has(key)), ...line.filter(([key]) => this.#slow.has(key))]
    const planned: Planned[] = []
    let atMs = now
    for (const [, upstream] of ordered) {
      const isPlain = upstream.kind === 'plain'
      planned.push({ atMs, upstream, via: isPlain ? 'udp' : 'http' })
      if (isPlain) {
        planned.push({ atMs: atMs + SECOND_ROUND_MS, upstream, via: 'tcp' })
        planned.push({ atMs: atMs + THIRD_ROUND_MS, upstream, via: 'udp' })
      } else planned.push({ atMs: atMs + THIRD_ROUND_MS, upstream, via: 'http' })
      atMs += upstream.kind === 'https' ? ENCRYPTED_HEAD_START_MS : HEDGE_MS
    }
    return planned.sort((a, b) => a.atMs - b.atMs)
  }

  #advance(open: Open, now: Ms): ForwardEffect[] {
    const effects: ForwardEffect[] = []
    while (open.planned[0] !== undefined && open.planned[0].atMs <= now) {
      const { upstream, via } = open.planned.shift()!
      const attempt = this.#next++
      const dnsId = via === 'http' ? 0 : this.#random16() // the same question is the same request [RFC 8484 §4.1]
      const known: Attempt = { question: open.id, upstream, via, dnsId, startedMs: now }
      this.#attempts.set(attempt, known)
      open.attempts.set(attempt, known)
      effects.push({ kind: 'send', attempt, upstream, via, bytes: withDnsId(open.query.bytes, dnsId) })
    }
    if (open.attempts.size === 0 && open.planned.length === 0) {
      effects.push(...this.#finish(open, { kind: 'failed', message: open.refusal }))
    }
    return effects
  }

  #lie(decoded: ReturnType<typeof decodeDns>, attempt: Attempt, open: Open): string | undefined {
    if (!decoded.ok) return decoded.reason
    const message = decoded.value
    if (!isDnsResponse(message)) return 'dns-not-reply'
    if (message.id !== attempt.dnsId) return 'dns-other-id'
    const isBareRefusal = message.question === undefined && message.rcode !== dnsRcode.success
    if (!isBareRefusal && !sameQuestion(open.query.question, message.question)) return 'dns-other-question'
    return undefined
  }

  #noteWinner(open: Open, winner: Attempt, now: Ms): void {
    const key = upstreamKey(winner.upstream)
    this.#slow.delete(key)
    for (const other of open.attempts.values()) {
      const silentMs = now - other.startedMs
      if (upstreamKey(other.upstream) !== key && silentMs >= HEDGE_MS)
        this.#slow.set(upstreamKey(other.upstream), now + SLOW_FOR_MS)
    }
  }

  #end(open: Open, attempt: number): ForwardEffect[] {
    open.attempts.delete(attempt)
    this.#attempts.delete(attempt)
    return [{ kind: 'cancel', attempt }]
  }

  #finish(open: Open, outcome: ForwardOutcome): ForwardEffect[] {
    const effects = [...open.attempts.keys()].flatMap((attempt) => this.#end(open, attempt))
    this.#open.delete(open.id)
    return [...effects, { kind: 'done', question: open.id, outcome }]
  }
}

function remove<T>(list: T[], isUnwanted: (item: T) => boolean): void {
  for (let i = list.length - 1; i >= 0; i--) if (isUnwanted(list[i]!)) list.splice(i, 1)
}
