/**
 * The shell of the resolver: packets to 100.100.100.100 and its IPv6 twin in, answers out; servers asked; the host's
 * settings kept as the network wants them. It performs what the machines say and arms one timer. Not the decisions
 * (`machines/resolver/`), not the way to the host's settings (`io/dns/`). [docs/rules/dns.md; ADR 0007]
 */

import { type OsDnsConfig, planOsDns } from '../../../src-protocol/machines/resolver/os-plan.ts'
import { type DnsPlan, type DnsWishes, emptyPlan, planDns } from '../../../src-protocol/machines/resolver/plan.ts'
import { Resolver, type ResolverEffect, upstreamText } from '../../../src-protocol/machines/resolver/resolver.ts'
import type { SystemVerdict } from '../../../src-protocol/machines/resolver/system-check.ts'
import { type TcpEffect, TcpResponder } from '../../../src-protocol/machines/resolver/tcp-responder.ts'
import { isOwn, parseUpstreams, SERVICE_V4, type Upstream } from '../../../src-protocol/machines/resolver/upstream.ts'
import { dnsType, encodeDnsQuery } from '../../../src-protocol/wire/dns.ts'
import { encodeUdpPacket, type Flow, ipProtocol, parsePacket } from '../../../src-protocol/wire/packet.ts'
import type { OsDns, OsDnsTrouble } from '../../io/dns/port.ts'
import { Upstreams, type UpstreamsOptions } from '../../io/dns/upstream.ts'
import { errorText, type Log } from '../../io/log/log.ts'
import { SystemAsks } from './system-asks.ts'

const DNS_PORT = 53
const RETRY_MS = 5_000

export interface DnsServiceOptions {
  readonly os: OsDns
  /** Hands an IP packet to the host as if it came from the tunnel. */
  readonly writeToHost: (packet: Uint8Array) => void
  readonly hasIpv6: () => boolean
  readonly randomBytes: (count: number) => Uint8Array
  readonly now: () => number
  readonly log: Log
  readonly secureContext?: UpstreamsOptions['secureContext']
  /** Looks a name up as programs of this system do; without it nobody checks whether they ask us. */
  readonly lookUpBySystem?: (name: string) => Promise<void>
}

export interface DnsTroubles {
  /** Servers that do not answer. */
  readonly forward: string | undefined
  /** Settings that could not be written. */
  readonly set: string | undefined
  readonly host: OsDnsTrouble | undefined
  /** Nothing fails, and yet the system asks somebody else: what to look at. */
  readonly unasked: string | undefined
}

type Answer = (bytes: Uint8Array) => void

export class DnsService {
  onTroubles: (troubles: DnsTroubles) => void = () => {}
  /** What programs of this machine are told. */
  onAnswer: (bytes: Uint8Array) => void = () => {}
  readonly #o: DnsServiceOptions
  readonly #resolver: Resolver
  readonly #tcp: TcpResponder
  readonly #upstreams: Upstreams
  readonly #systemAsks: SystemAsks | undefined
  readonly #answers = new Map<number, Answer>()
  #token = 0
  #timer: NodeJS.Timeout | undefined
  #planned: DnsPlan = emptyPlan
  /** What the host had before us. */
  #base: readonly Upstream[] = []
  #troubles: DnsTroubles = { forward: undefined, set: undefined, host: undefined, unasked: undefined }
  #age = 0
  #runs = false
  #retry: NodeJS.Timeout | undefined
  #idle: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: DnsServiceOptions) {
    this.#o = options
    const random = (bytes: number): number => options.randomBytes(bytes).reduce((sum, byte) => sum * 256 + byte, 0)
    this.#resolver = new Resolver({ random16: () => random(2) })
    this.#tcp = new TcpResponder({ random32: () => random(4), port: DNS_PORT })
    this.#upstreams = new Upstreams({
      onReply: (attempt, bytes) => this.#perform(this.#resolver.handleReply(attempt, bytes, options.now())),
      onFailure: (attempt, reason) => {
        options.log.debug('upstream-failed', { reason })
        this.#perform(this.#resolver.handleFailure(attempt, options.now()))
      },
      ...(options.secureContext === undefined ? {} : { secureContext: options.secureContext }),
    })
    if (options.lookUpBySystem !== undefined) {
      const { lookUpBySystem: lookUp, randomBytes, now } = options
      this.#systemAsks = new SystemAsks({ lookUp, randomBytes, now, onVerdict: () => this.#noteSystem() })
    }
    options.os.listen({
      onTrouble: (host) => {
        this.#setTroubles({ host })
        this.#noteSystem()
        this.#systemAsks?.again()
      },
      onBaseChange: () => this.#want(),
    })
  }

  get plan(): DnsPlan {
    return this.#resolver.plan
  }

  get os(): OsDns {
    return this.#o.os
  }

  get counters(): Resolver['counters'] {
    return this.#resolver.counters
  }

  get systemVerdict(): SystemVerdict {
    return this.#systemAsks?.verdict ?? 'unknown'
  }

  /** undefined = no network: nothing of ours is known, and the host's settings are its own. */
  configure(wishes: DnsWishes | undefined): void {
    this.#planned = wishes === undefined ? emptyPlan : planDns(wishes)
    this.#setPlan(this.#planned, this.#base) // own names at once; the host's settings follow
    this.#want()
  }

  /** Resolves when what was wanted last is done. */
  settled(): Promise<void> {
    return this.#idle
  }

  networkChanged(): void {
    this.#perform(this.#resolver.networkChanged())
    this.#want()
    this.#systemAsks?.again()
  }

  /** An IP packet that the host sent to a service address. */
  handlePacket(bytes: Uint8Array): void {
    const parsed = parsePacket(bytes)
    if (!parsed.ok || parsed.value.fragment !== 'none') return
    const packet = parsed.value
    if (packet.protocol === ipProtocol.tcp) {
      this.#performTcp(this.#tcp.handlePacket(packet, this.#o.now()))
      return
    }
    if (packet.protocol !== ipProtocol.udp || packet.dstPort !== DNS_PORT) return
    const flow: Flow = { src: packet.dst, dst: packet.src, srcPort: DNS_PORT, dstPort: packet.srcPort }
    const { payload } = packet
    if (this.#systemAsks?.isWaiting === true) this.#systemAsks.hear(payload)
    const tell = (answer: Uint8Array): void => {
      this.onAnswer(answer) // before the program can use it
      this.#o.writeToHost(encodeUdpPacket(flow, answer))
    }
    const ready = this.#resolver.readyAnswer(payload, 'udp')
    if (ready === undefined) this.#ask(payload, 'udp', tell)
    else tell(ready)
  }

  /** For people: the answer, and who gave it or would. */
  async query(name: string, type: number): Promise<{ bytes: Uint8Array; resolvers: readonly Upstream[] } | undefined> {
    const bytes = encodeDnsQuery(0, name, type)
    if (bytes === undefined) return undefined
    const resolvers = this.#resolver.upstreamsFor(bytes)
    return new Promise((resolve) => this.#ask(bytes, 'stream', (answer) => resolve({ bytes: answer, resolvers })))
  }

  /** Whom this name is asked at; empty: it is answered here. */
  askedAt(name: string): readonly Upstream[] {
    const bytes = encodeDnsQuery(0, name, dnsType.A)
    return bytes === undefined ? [] : this.#resolver.upstreamsFor(bytes)
  }

  /**
   * For machines that use this one as their exit node: what the wide world says, nothing of ours. Whether the asker may
   * is the caller's to know (`/dns-query` of the PeerAPI).
   */
  answerForOther(query: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve) => this.#ask(query, 'stream', resolve, true))
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#retry)
    this.#systemAsks?.close()
    this.#upstreams.close()
    this.#age++
    await this.#idle
    const restored = await this.#o.os.apply(undefined)
    if (restored.kind === 'failed') this.#o.log.error('name-servers-not-given-back', { reason: restored.message })
    await this.#o.os.close()
  }

  #ask(bytes: Uint8Array, transport: 'udp' | 'stream', answer: Answer, isForOther = false): void {
    const token = ++this.#token
    this.#answers.set(token, answer)
    const effects = this.#resolver.handleQuery(bytes, { token, transport, isForOther }, this.#o.now())
    this.#perform(effects)
    // garbage that deserves no answer
    if (this.#answers.size > 4_096) for (const oldest of this.#answers.keys()) return void this.#answers.delete(oldest)
  }

  #perform(effects: readonly ResolverEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.#upstreams.ask(effect.attempt, effect.upstream, effect.via, effect.bytes)
      else if (effect.kind === 'cancel') this.#upstreams.cancel(effect.attempt)
      else {
        const answer = this.#answers.get(effect.token)
        this.#answers.delete(effect.token)
        answer?.(effect.bytes)
      }
    }
    this.#noteForwarding()
    this.#arm()
  }

  #performTcp(effects: readonly TcpEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'packet') this.#o.writeToHost(effect.bytes)
      else {
        if (this.#systemAsks?.isWaiting === true) this.#systemAsks.hear(effect.bytes)
        this.#ask(effect.bytes, 'stream', (answer) => {
          this.onAnswer(answer)
          this.#performTcp(this.#tcp.answer(effect.connection, answer, this.#o.now()))
        })
      }
    }
    this.#arm()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const next = Math.min(
      this.#resolver.nextWake() ?? Number.POSITIVE_INFINITY,
      this.#tcp.nextWake() ?? Number.POSITIVE_INFINITY,
    )
    if (!Number.isFinite(next) || this.#closed) return
    this.#timer = setTimeout(
      () => {
        const now = this.#o.now()
        this.#performTcp(this.#tcp.wake(now))
        this.#perform(this.#resolver.wake(now))
      },
      Math.max(0, Math.ceil(next - this.#o.now())),
    )
  }

  #setPlan(plan: DnsPlan, base: readonly Upstream[]): void {
    this.#base = base
    const own = base.length > 0 ? base : plan.fallbacks
    this.#perform(this.#resolver.setPlan(withOwnSuffixes(plan, own), own))
  }

  #want(): void {
    this.#age++
    if (!this.#runs && !this.#closed) this.#idle = this.#run()
  }

  /** One change at a time; what was wanted meanwhile is done next. */
  async #run(): Promise<void> {
    this.#runs = true
    clearTimeout(this.#retry)
    for (let age = -1; age !== this.#age && !this.#closed; ) {
      age = this.#age
      try {
        await this.#settle()
      } catch (error) {
        this.#setTroubles({ set: errorText(error) })
      }
    }
    this.#runs = false
    if (this.#troubles.set !== undefined && !this.#closed)
      this.#retry = setTimeout(() => this.#want(), RETRY_MS).unref()
  }

  async #settle(): Promise<void> {
    const { os } = this.#o
    const plan = this.#planned
    const { config, needsBase } = planOsDns(plan, { canSplit: os.canSplit, hasIpv6: this.#o.hasIpv6() })
    const base = await os.base()
    const servers = base.nameservers.filter((address) => !isOwn(address))
    this.#setPlan(plan, parseUpstreams(servers.map((Addr) => ({ Addr }))))
    const desired = config === undefined ? undefined : needsBase ? withBase(config, base, servers) : config
    const result = await os.apply(desired)
    this.#setTroubles({ set: result.kind === 'failed' ? result.message : undefined })
    this.#systemAsks?.follow(plan, result.kind === 'failed' ? undefined : desired)
    this.#noteSystem()
  }

  #noteForwarding(): void {
    const forward = this.#resolver.failing?.map(upstreamText).join(', ')
    if (forward !== this.#troubles.forward) this.#setTroubles({ forward })
  }

  /** One row for one trouble: a fight over the settings, or settings that were refused, say enough. */
  #noteSystem(): void {
    const { set, host } = this.#troubles
    const isUnasked = this.systemVerdict === 'asks others' && set === undefined && host?.kind !== 'fight'
    const unasked = isUnasked ? `${this.#systemAsks?.domain}; ${whatToLookAt(this.#o.os.mode)}` : undefined
    if (unasked !== this.#troubles.unasked) this.#setTroubles({ unasked })
  }

  #setTroubles(change: Partial<DnsTroubles>): void {
    this.#troubles = { ...this.#troubles, ...change }
    this.onTroubles(this.#troubles)
  }
}

/** What goes past the exit node is asked where this machine asks by itself. */
function withOwnSuffixes(plan: DnsPlan, own: readonly Upstream[]): DnsPlan {
  if (plan.ownSuffixes.length === 0 || own.length === 0) return plan
  return { ...plan, routes: new Map([...plan.routes, ...plan.ownSuffixes.map((suffix) => [suffix, own] as const)]) }
}

/** Taking over everything means keeping what the system looked for before. */
function withBase(config: OsDnsConfig, base: OsDnsConfig, servers: OsDnsConfig['nameservers']): OsDnsConfig {
  return {
    nameservers: config.nameservers.length > 0 ? config.nameservers : servers,
    searchDomains: [...new Set([...config.searchDomains, ...base.searchDomains])],
    matchDomains: config.matchDomains,
  }
}

/** Where questions go astray, by who manages them. */
function whatToLookAt(mode: OsDns['mode']): string {
  const always =
    'another VPN or a firewall that catches port 53, and "dns" or "resolve" in the line "hosts:" of /etc/nsswitch.conf'
  if (mode === 'systemd-resolved')
    return `look at "resolvectl query" for a name of it, at /etc/resolv.conf (it should lead to 127.0.0.53), at ${always}`
  return `look at the first nameserver in /etc/resolv.conf (it should be ${SERVICE_V4}), at ${always}`
}
