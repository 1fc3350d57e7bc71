/**
 * What we know ourselves: names of this network, special names, reverse names. Pure. For everything else it says whom
 * to ask. [features.md §8.3; docs/rules/dns.md DNS-7]
 */
import { DNS_CLASS_IN, type DnsQuestion, dnsRcode, dnsType, type OwnRecord, type OwnReply } from '../../wire/dns.ts'
import { isWithin, parentName } from '../../wire/dns-name.ts'
import { addressRecord, nameData, reverseName } from '../../wire/dns-record.ts'
import { ipBytes, parseIp } from '../../wire/ip.ts'
import type { DnsPlan } from './plan.ts'
import { SERVICE_V4, SERVICE_V6, type Upstream } from './upstream.ts'

/** Machines come and go; who asks us is on the same host. */
export const OWN_TTL_SECONDS = 5
export const SERVICE_NAME = 'magicdns.localhost-tailscale-daemon'
/** Firefox asks for it before it turns its own DNS over HTTPS on by default; "there is none" makes it ask the system. */
export const BROWSER_CANARY = 'use-application-dns.net'
const SERVICE_REVERSE = new Set([SERVICE_V4, SERVICE_V6].map((ip) => reverseName(ipBytes(ip))))
const VIA_SUFFIXES = new Set(['', 'ts.net', 'tailscale.net'])
const NOT_OURS_TO_TELL = new Set<number>([dnsType.NS, dnsType.SOA, dnsType.AXFR, dnsType.HINFO])

export type LocalAnswer =
  | { readonly kind: 'answer'; readonly reply: OwnReply }
  /** An empty list = nobody is known. */
  | { readonly kind: 'ask'; readonly upstreams: readonly Upstream[] }

export function answerLocally(plan: DnsPlan, question: DnsQuestion, base: readonly Upstream[]): LocalAnswer {
  const { name, type } = question
  if (question.class !== DNS_CLASS_IN) return answer(dnsRcode.refused)
  if (isWithin(name, 'onion')) return answer(dnsRcode.noName) // [RFC 7686]
  if (name === SERVICE_NAME) return addresses([SERVICE_V4, SERVICE_V6], type)
  const via = viaAddress(plan, name)
  if (via !== undefined) return addresses([via], type)
  const known = plan.hosts.get(name) ?? wildcardHost(plan, name)
  if (known !== undefined) return NOT_OURS_TO_TELL.has(type) ? answer(dnsRcode.notImplemented) : addresses(known, type)
  const named = SERVICE_REVERSE.has(name) ? SERVICE_NAME : plan.reverse.get(name)
  if (named !== undefined) {
    if (type !== dnsType.PTR && type !== dnsType.ANY) return answer(dnsRcode.success)
    return answer(dnsRcode.success, [{ type: dnsType.PTR, ttlSeconds: OWN_TTL_SECONDS, data: nameData(named)! }])
  }
  const zone = zoneOf(plan, name)
  if (zone === 'local') return answer(NOT_OURS_TO_TELL.has(type) ? dnsRcode.notImplemented : absence(plan, name))
  return { kind: 'ask', upstreams: zone ?? (plan.defaults.length > 0 ? plan.defaults : base) }
}

/** Whoever does not ask us would miss something; for those who use us as their exit node that is not ours to say. */
export function holdsBrowsersBack(plan: DnsPlan): boolean {
  return plan.localDomains.size > 0 || plan.routes.size > 0
}

/** The longest suffix decides. */
export function zoneOf(plan: DnsPlan, name: string): readonly Upstream[] | 'local' | undefined {
  for (let suffix: string | undefined = name; suffix !== undefined; suffix = parentName(suffix)) {
    if (plan.localDomains.has(suffix)) return 'local'
    const upstreams = plan.routes.get(suffix)
    if (upstreams !== undefined) return upstreams
  }
  return undefined
}

/** A name that only has names below it exists. [RFC 8020] */
function absence(plan: DnsPlan, name: string): number {
  return plan.localDomains.has(name) ? dnsRcode.success : dnsRcode.noName
}

function wildcardHost(plan: DnsPlan, name: string): readonly string[] | undefined {
  if (plan.wildcards.size === 0) return undefined
  for (let above = parentName(name); above !== undefined; above = parentName(above)) {
    if (plan.wildcards.has(above)) return plan.hosts.get(above)
  }
  return undefined
}

/** `10-1-2-3-via-7`: 10.1.2.3 at site 7, through IPv6. [features.md §6] */
function viaAddress(plan: DnsPlan, name: string): string | undefined {
  const form = /^(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})-via-([0-9a-z]+)(?:\.(.+))?$/.exec(name)
  if (form === null) return undefined
  const suffix = form[6] ?? ''
  const isHere = VIA_SUFFIXES.has(suffix) || [...VIA_SUFFIXES].some((known) => known !== '' && isWithin(suffix, known))
  if (!isHere && !plan.localDomains.has(suffix)) return undefined
  const site = /^(?:0x[0-9a-f]+|0b[01]+|0o?[0-7]*|[1-9]\d*)$/.test(form[5]!) ? Number(octalForm(form[5]!)) : Number.NaN
  const v4 = parseIp(form.slice(1, 5).join('.'))
  if (!Number.isInteger(site) || site > 0xffffffff || !v4.ok) return undefined
  const [a, b, c, d] = v4.value as unknown as [number, number, number, number]
  const words = [site >>> 16, site & 0xffff, (a << 8) | b, (c << 8) | d].map((word) => word.toString(16))
  return `fd7a:115c:a1e0:b1a:${words.join(':')}`
}

/** Go reads 017 as octal; JavaScript wants 0o17. */
function octalForm(text: string): string {
  return /^0[0-7]+$/.test(text) ? `0o${text.slice(1)}` : text
}

function addresses(list: readonly string[], type: number): LocalAnswer {
  const records: OwnRecord[] = []
  for (const address of list) {
    const record = addressRecord(address)
    const isWanted = record !== undefined && (type === record.type || type === dnsType.ANY)
    if (isWanted) records.push({ ...record, ttlSeconds: OWN_TTL_SECONDS })
  }
  return answer(dnsRcode.success, records)
}

function answer(rcode: number, answers: readonly OwnRecord[] = []): LocalAnswer {
  return { kind: 'answer', reply: { rcode, isAuthoritative: rcode !== dnsRcode.refused, answers } }
}
