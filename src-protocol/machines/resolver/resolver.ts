/**
 * The resolver behind 100.100.100.100: own names at once, others from the cache or from the servers that the plan names.
 * A machine: queries and replies in, answers and sends out. Who listens and who sends: `engine/dns/`.
 * [docs/rules/dns.md DNS-7 to DNS-9]
 */
import type { Ms } from '../../../src-contract/ids.ts'
import {
  type DnsMessage,
  type DnsQuery,
  decodeDnsQuery,
  dnsRcode,
  dnsType,
  encodeDnsReply,
  MAX_DNS_BYTES,
  refuseDns,
  replyFor,
  udpLimit,
} from '../../wire/dns.ts'
import { isWithin } from '../../wire/dns-name.ts'
import { DnsCache, questionKey } from './cache.ts'
import { type ForwardEffect, Forwarder, type ForwardOutcome, type Via } from './forwarder.ts'
import { answerLocally, BROWSER_CANARY, holdsBrowsersBack, zoneOf } from './local-answers.ts'
import { type DnsPlan, emptyPlan } from './plan.ts'
import { ReadyAnswers } from './ready-answers.ts'
import { type Upstream, upstreamKey } from './upstream.ts'

export type ResolverEffect =
  | {
      readonly kind: 'send'
      readonly attempt: number
      readonly upstream: Upstream
      readonly via: Via
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'cancel'; readonly attempt: number }
  | { readonly kind: 'answer'; readonly token: number; readonly bytes: Uint8Array }

export interface QueryOptions {
  /** Names the asker in the answer; chosen by the shell. */
  readonly token: number
  readonly transport: 'udp' | 'stream'
  /** A machine that uses us as its exit node: gets what the wide world gets, and nothing of ours. */
  readonly isForOther?: boolean
}

interface Waiting {
  readonly token: number
  readonly query: DnsQuery
  readonly limitBytes: number
}

interface Asked {
  readonly key: string | undefined
  readonly waiting: Waiting[]
  readonly isForOther: boolean
  readonly upstreams: readonly Upstream[]
}

export interface ResolverCounters {
  own: number
  /** Browsers that asked whether they may ask others. */
  browsers: number
  cached: number
  forwarded: number
  failed: number
  malformed: number
}

/** So many questions without any reply, and nobody answered meanwhile: something is broken. */
const FAILING_AFTER = 3

export class Resolver {
  readonly #cache = new DnsCache()
  readonly #ready = new ReadyAnswers()
  readonly #forwarder: Forwarder
  readonly #asked = new Map<number, Asked>()
  readonly #byKey = new Map<string, number>()
  #plan: DnsPlan = emptyPlan
  #base: readonly Upstream[] = []
  #upstreamsText = ''
  #failuresInRow = 0
  #silent: readonly Upstream[] = []
  readonly counters: ResolverCounters = { own: 0, browsers: 0, cached: 0, forwarded: 0, failed: 0, malformed: 0 }

  constructor(options: { readonly random16: () => number }) {
    this.#forwarder = new Forwarder(options)
  }

  get plan(): DnsPlan {
    return this.#plan
  }

  /** Whom we asked last, when nobody of those whom we ask answers. */
  get failing(): readonly Upstream[] | undefined {
    return this.#failuresInRow >= FAILING_AFTER ? this.#silent : undefined
  }

  get lies(): ReadonlyMap<string, number> {
    return this.#forwarder.lies
  }

  /** `base`: servers that the system had before us. */
  setPlan(plan: DnsPlan, base: readonly Upstream[]): ResolverEffect[] {
    this.#plan = plan
    this.#base = base
    this.#ready.clear()
    const text = JSON.stringify([[...plan.routes], plan.defaults, base, [...plan.localDomains].sort()])
    if (text === this.#upstreamsText) return []
    this.#upstreamsText = text
    return this.networkChanged()
  }

  networkChanged(): ResolverEffect[] {
    this.#cache.clear()
    const effects = this.#translate(this.#forwarder.reset(), undefined)
    this.#failuresInRow = 0 // what we ended ourselves says nothing about the servers
    return effects
  }

  /** Whom this name would be asked at; empty = answered here. */
  upstreamsFor(bytes: Uint8Array): readonly Upstream[] {
    const query = decodeDnsQuery(bytes)
    if (!query.ok || this.#isCanary(query.value)) return []
    const local = answerLocally(this.#plan, query.value.question, this.#base)
    return local.kind === 'ask' ? local.upstreams : []
  }

  /** The answer to a question that was asked in the same words before; good until the next call. */
  readyAnswer(bytes: Uint8Array, transport: QueryOptions['transport']): Uint8Array | undefined {
    const answer = this.#ready.get(bytes, transport)
    if (answer !== undefined) this.counters.own++
    return answer
  }

  handleQuery(bytes: Uint8Array, options: QueryOptions, now: Ms): ResolverEffect[] {
    const { token, transport, isForOther = false } = options
    const decoded = decodeDnsQuery(bytes)
    if (!decoded.ok) {
      this.counters.malformed++
      const rcode = decoded.reason === 'dns-opcode' ? dnsRcode.notImplemented : dnsRcode.format
      const refusal = refuseDns(bytes, rcode)
      return refusal === undefined ? [] : [{ kind: 'answer', token, bytes: refusal }]
    }
    const query = decoded.value
    const limitBytes = transport === 'udp' ? udpLimit(query) : MAX_DNS_BYTES
    const own = (rcode: number): ResolverEffect[] => [
      { kind: 'answer', token, bytes: encodeDnsReply(query, { rcode }, limitBytes) },
    ]
    if ((query.edns?.version ?? 0) > 0) return own(dnsRcode.format)
    if (isForOther && !mayOthersAsk(this.#plan, query)) return own(dnsRcode.refused)
    if (!isForOther && this.#isCanary(query)) {
      this.counters.browsers++
      return own(dnsRcode.noName)
    }
    const local = answerLocally(this.#plan, query.question, this.#base)
    if (local.kind === 'answer') {
      if (isForOther) return own(dnsRcode.refused)
      this.counters.own++
      const reply = encodeDnsReply(query, local.reply, limitBytes)
      this.#ready.put(bytes, transport, reply)
      return [{ kind: 'answer', token, bytes: reply }]
    }
    const key = questionKey(query)
    const cached = key === undefined ? undefined : this.#cache.get(key, now)
    if (cached !== undefined) {
      this.counters.cached++
      return [{ kind: 'answer', token, bytes: replyFor(query, cached.message, cached.ageSeconds, limitBytes) }]
    }
    const waiting: Waiting = { token, query, limitBytes }
    const same = key === undefined ? undefined : this.#byKey.get(key)
    if (same !== undefined) {
      this.#asked.get(same)!.waiting.push(waiting)
      return []
    }
    const asked = this.#forwarder.ask(query, local.upstreams, now)
    if (asked === undefined) {
      this.counters.failed++
      return own(dnsRcode.serverFailure)
    }
    this.counters.forwarded++
    this.#asked.set(asked.question, { key, waiting: [waiting], isForOther, upstreams: local.upstreams })
    if (key !== undefined) this.#byKey.set(key, asked.question)
    return this.#translate(asked.effects, now)
  }

  #isCanary({ question }: DnsQuery): boolean {
    return question.name === BROWSER_CANARY && holdsBrowsersBack(this.#plan)
  }

  handleReply(attempt: number, bytes: Uint8Array, now: Ms): ResolverEffect[] {
    return this.#translate(this.#forwarder.handleReply(attempt, bytes, now), now)
  }

  handleFailure(attempt: number, now: Ms): ResolverEffect[] {
    return this.#translate(this.#forwarder.handleFailure(attempt, now), now)
  }

  wake(now: Ms): ResolverEffect[] {
    return this.#translate(this.#forwarder.wake(now), now)
  }

  nextWake(): Ms | undefined {
    return this.#forwarder.nextWake()
  }

  #translate(effects: readonly ForwardEffect[], now: Ms | undefined): ResolverEffect[] {
    return effects.flatMap((effect) =>
      effect.kind === 'done' ? this.#finish(effect.question, effect.outcome, now) : [effect],
    )
  }

  /** `now` undefined: nothing is kept. */
  #finish(question: number, outcome: ForwardOutcome, now: Ms | undefined): ResolverEffect[] {
    const asked = this.#asked.get(question)
    if (asked === undefined) return []
    this.#asked.delete(question)
    if (asked.key !== undefined) this.#byKey.delete(asked.key)
    const isGood = outcome.kind === 'reply' && !claimsOurNames(this.#plan, outcome.message)
    if (isGood && asked.key !== undefined && now !== undefined) this.#cache.put(asked.key, outcome.message, now)
    // a server that refuses is there
    this.#failuresInRow = outcome.message === undefined ? this.#failuresInRow + 1 : 0
    if (outcome.message === undefined) this.#silent = asked.upstreams
    return asked.waiting.map(({ token, query, limitBytes }) => {
      if (!isGood) this.counters.failed++
      const message = isGood || outcome.kind === 'failed' ? outcome.message : undefined
      const bytes =
        message === undefined
          ? encodeDnsReply(query, { rcode: dnsRcode.serverFailure }, limitBytes)
          : replyFor(query, message, 0, limitBytes)
      return { kind: 'answer', token, bytes }
    })
  }
}

/** Nobody outside says where our machines are; the servers of a split zone do, for their zone. */
function claimsOurNames(plan: DnsPlan, message: DnsMessage): boolean {
  return message.answers.some(({ name, type }) => {
    if (type !== dnsType.A && type !== dnsType.AAAA) return false
    const zone = zoneOf(plan, name)
    return zone === 'local' || (zone === undefined && plan.hosts.has(name))
  })
}

/** Single labels, private names and what control filters stay here. */
function mayOthersAsk(plan: DnsPlan, { question }: DnsQuery): boolean {
  const { name } = question
  if (!name.includes('.')) return false
  if (['local', 'internal', 'localhost', 'home.arpa'].some((suffix) => isWithin(name, suffix))) return false
  return !plan.exitNodeRefuses.some((suffix) => isWithin(name, suffix))
}

/** For people: who answered, or would. */
export function upstreamText(upstream: Upstream): string {
  return upstream.kind === 'plain'
    ? upstream.address.replace(/:53$/, '').replace(/^\[(.*)\]$/, '$1')
    : upstreamKey(upstream)
}
