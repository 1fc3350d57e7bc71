/**
 * The shell around an explanation: gathers what the daemon knows at this moment, looks names up, and does one explanation
 * after the other, so that nobody keeps the host busy. The answer itself: `explain.ts`. [docs/rules/explain.md EXP-1, EXP-2]
 */
import type { IpText } from '../../../src-contract/ids.ts'
import type { NameExplanation, RouteExplanation, RouteQuestion } from '../../../src-contract/localapi/route-explain.ts'
import { emptyPlan } from '../../../src-protocol/machines/resolver/plan.ts'
import { decodeDns, dnsType } from '../../../src-protocol/wire/dns.ts'
import { decodeRecordData } from '../../../src-protocol/wire/dns-record.ts'
import { systemAddresses } from '../../io/dns/system-addresses.ts'
import type { RouteView } from '../../io/route-view/port.ts'
import type { UserAccounts } from '../../io/users/port.ts'
import type { DnsService } from '../dns/dns-service.ts'
import { explainRoute } from './explain.ts'
import type { ExplainFacts } from './facts.ts'
import { completeName, routeOfName } from './names.ts'

const MAX_WAITING = 16
const LOOKUP_PATIENCE_MS = 8_000

export interface ExplainerParts {
  readonly view: RouteView
  readonly accounts: UserAccounts
}

export interface ExplainOptions {
  readonly question: RouteQuestion
  /** As they are when its turn comes. */
  readonly facts: () => Promise<ExplainFacts>
  readonly dns: DnsService | undefined
  /** Of this network, "" without one. */
  readonly ownDomain: string
  /** Names may be asked at other machines. */
  readonly mayAsk: boolean
  /** Whoever asked has gone. */
  readonly signal: AbortSignal
}

export class Explainer {
  readonly #parts: ExplainerParts
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: ExplainerParts) {
    this.#parts = parts
  }

  /** A directory may be asked for it: in turn, too. */
  uidOf(user: string): Promise<number | undefined | 'busy'> {
    return this.#inTurn(() => this.#parts.accounts.uidOf(user))
  }

  /** undefined: too many wait already, or nobody waits for the answer any more. */
  async explain(options: ExplainOptions): Promise<RouteExplanation | undefined> {
    const answer = await this.#inTurn(async () => {
      if (options.signal.aborted) return undefined
      return explainRoute(options.question, {
        facts: await options.facts(),
        view: this.#parts.view,
        lookUp: (name) => lookUp(name, options),
      })
    })
    return answer === 'busy' ? undefined : answer
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T | 'busy'> {
    if (this.#waiting >= MAX_WAITING) return 'busy'
    this.#waiting++
    const answer = this.#last.then(work)
    this.#last = answer.catch(() => {}) // the caller hears of it
    return answer.finally(() => this.#waiting--)
  }
}

async function lookUp(text: string, { dns, ownDomain, mayAsk }: ExplainOptions): Promise<NameExplanation> {
  const plan = dns?.plan ?? emptyPlan
  const facts = { plan, ownDomain, askedAt: (name: string) => dns?.askedAt(name) ?? [] }
  const name = completeName(text, facts)
  const route = routeOfName(name, facts)
  const known = plan.hosts.get(name)
  if (known !== undefined) return { ...route, Addresses: [...known], Problem: '' }
  if (route.Servers.length > 0 && !mayAsk) {
    const Problem =
      'It was not looked up: that asks other machines, which is for root and the operator (pintail set --operator).'
    return { ...route, Addresses: [], Problem }
  }
  const found = await withDeadline(plan.isAccepted && dns !== undefined ? askOurs(dns, name) : systemAddresses(name))
  if (found === undefined)
    return { ...route, Addresses: [], Problem: `Nobody answered within ${LOOKUP_PATIENCE_MS / 1000} seconds.` }
  return { ...route, Addresses: found, Problem: found.length === 0 ? `There is no address for ${name}.` : '' }
}

async function askOurs(dns: DnsService, name: string): Promise<IpText[]> {
  const replies = await Promise.all([dnsType.A, dnsType.AAAA].map((type) => dns.query(name, type)))
  const found = new Set<IpText>()
  for (const reply of replies) {
    const message = reply === undefined ? undefined : decodeDns(reply.bytes)
    if (message === undefined || !message.ok) continue
    for (const record of message.value.answers) {
      const data = decodeRecordData(message.value, record)
      if (data.ok && data.value.kind === 'address') found.add(data.value.address)
    }
  }
  return [...found]
}

async function withDeadline<T>(answer: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), LOOKUP_PATIENCE_MS)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
