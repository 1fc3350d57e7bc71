/**
 * DNS messages: what a resolver must read and write. Queries and replies are read as views that know where each TTL is,
 * so that a reply is passed on as its server wrote it; answers of our own are built here. Not record contents
 * (`dns-record.ts`), not names (`dns-name.ts`). [RFC 1035 §4, RFC 6891 (EDNS), RFC 2308 (negative answers)]
 *
 *  0 id  2 QR·opcode·AA·TC·RD  3 RA·Z·AD·CD·rcode  4 QDCOUNT  6 ANCOUNT  8 NSCOUNT  10 ARCOUNT  12 question…
 *  question  name  type u16  class u16
 *  record    name  type u16  class u16  ttl u32  length u16  data
 *  OPT       root  41  udp size u16  extended rcode·version·DO…  length  options
 */
import { type Bytes, concat, copyOf, EMPTY, viewOf } from './bytes.ts'
import { bad, type Decoded, ok } from './decoded.ts'
import { decodeDnsName, parseDnsName } from './dns-name.ts'

export const dnsType = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  WKS: 11,
  PTR: 12,
  HINFO: 13,
  MINFO: 14,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  SVCB: 64,
  HTTPS: 65,
  AXFR: 252,
  ANY: 255,
} as const
export const DNS_CLASS_IN = 1
export const dnsRcode = { success: 0, format: 1, serverFailure: 2, noName: 3, notImplemented: 4, refused: 5 } as const

export const MAX_DNS_BYTES = 65_535
/** What a client without EDNS takes over UDP. */
export const PLAIN_UDP_BYTES = 512
/** What we send over UDP at most: no fragments in the tunnel. [RFC 9715] */
export const LARGEST_UDP_BYTES = 1_232
const HEADER_BYTES = 12
const MAX_TTL = 0x7fffffff

export const dnsFlag = { response: 0x8000, authoritative: 0x400, truncated: 0x200, recursion: 0x100 } as const
const RECURSION_AVAILABLE = 0x80
const CHECKING_DISABLED = 0x10
const OPCODE_MASK = 0x7800
const DNSSEC_OK = 0x8000

export interface DnsQuestion {
  /** Canonical text, see `dns-name.ts`. */
  readonly name: string
  readonly type: number
  readonly class: number
}

export interface DnsEdns {
  readonly udpBytes: number
  readonly isDnssecOk: boolean
  readonly version: number
  /** Options mean something between these two parties only. */
  readonly hasOptions: boolean
}

export interface DnsRecord {
  readonly name: string
  readonly type: number
  readonly class: number
  readonly ttlSeconds: number
  readonly ttlOffset: number
  /** Where its data is in the message; names in it may point back. */
  readonly start: number
  readonly end: number
}

export interface DnsMessage {
  readonly bytes: Uint8Array
  readonly id: number
  readonly flags: number
  readonly rcode: number
  /** Undefined when there is none: some servers refuse that way. */
  readonly question: DnsQuestion | undefined
  /** Behind the question. */
  readonly questionEnd: number
  readonly answers: readonly DnsRecord[]
  readonly authorities: readonly DnsRecord[]
  readonly additionals: readonly DnsRecord[]
  readonly edns: DnsEdns | undefined
}

export function isDnsResponse(message: DnsMessage): boolean {
  return (message.flags & dnsFlag.response) !== 0
}

export function isTruncated(message: DnsMessage): boolean {
  return (message.flags & dnsFlag.truncated) !== 0
}

/** Bytes behind the last record are ignored. More than one question is refused: nobody asks that way. */
export function decodeDns(bytes: Uint8Array): Decoded<DnsMessage> {
  if (bytes.length < HEADER_BYTES) return bad('dns-short')
  if (bytes.length > MAX_DNS_BYTES) return bad('dns-long')
  const view = viewOf(bytes)
  const questions = view.getUint16(4)
  if (questions > 1) return bad('dns-questions')
  let at = HEADER_BYTES
  let question: DnsQuestion | undefined
  if (questions === 1) {
    const name = decodeDnsName(bytes, at)
    if (!name.ok) return name
    at = name.value.end
    if (at + 4 > bytes.length) return bad('dns-short')
    question = { name: name.value.name, type: view.getUint16(at), class: view.getUint16(at + 2) }
    at += 4
  }
  const questionEnd = at
  let edns: DnsEdns | undefined
  const sections: DnsRecord[][] = [[], [], []]
  for (const [index, section] of sections.entries()) {
    for (let left = view.getUint16(6 + 2 * index); left > 0; left--) {
      const name = decodeDnsName(bytes, at)
      if (!name.ok) return name
      const fixed = name.value.end
      if (fixed + 10 > bytes.length) return bad('dns-short')
      const start = fixed + 10
      const end = start + view.getUint16(fixed + 8)
      if (end > bytes.length) return bad('dns-short')
      const type = view.getUint16(fixed)
      const ttl = view.getUint32(fixed + 4)
      section.push({
        name: name.value.name,
        type,
        class: view.getUint16(fixed + 2),
        ttlSeconds: ttl > MAX_TTL ? 0 : ttl, // [RFC 2181 §8]
        ttlOffset: fixed + 4,
        start,
        end,
      })
      if (type === dnsType.OPT) {
        if (edns !== undefined || index !== 2 || name.value.name !== '') return bad('dns-opt')
        edns = {
          udpBytes: Math.max(PLAIN_UDP_BYTES, view.getUint16(fixed + 2)),
          version: (ttl >>> 16) & 0xff,
          isDnssecOk: (ttl & DNSSEC_OK) !== 0,
          hasOptions: end > start,
        }
      }
      at = end
    }
  }
  const [answers, authorities, additionals] = sections as [DnsRecord[], DnsRecord[], DnsRecord[]]
  const flags = view.getUint16(2)
  return ok({
    bytes,
    id: view.getUint16(0),
    flags,
    rcode: flags & 15,
    question,
    questionEnd,
    answers,
    authorities,
    additionals,
    edns,
  })
}

export interface DnsQuery extends DnsMessage {
  readonly question: DnsQuestion
}

/** A question that somebody may ask us. Refusals that deserve an answer keep the header: `refuseDns`. */
export function decodeDnsQuery(bytes: Uint8Array): Decoded<DnsQuery> {
  const decoded = decodeDns(bytes)
  if (!decoded.ok) return decoded
  const { question, flags } = decoded.value
  if (isDnsResponse(decoded.value)) return bad('dns-not-query')
  if ((flags & OPCODE_MASK) !== 0) return bad('dns-opcode')
  if (question === undefined) return bad('dns-questions')
  return ok({ ...decoded.value, question })
}

export function isCheckingDisabled(message: DnsMessage): boolean {
  return (message.flags & CHECKING_DISABLED) !== 0
}

/** A bare header that says why there is no answer; undefined for what must not be answered at all. */
export function refuseDns(query: Uint8Array, rcode: number): Bytes | undefined {
  if (query.length < HEADER_BYTES || (query[2]! & 0x80) !== 0) return undefined
  const reply = new Uint8Array(HEADER_BYTES)
  reply[0] = query[0]!
  reply[1] = query[1]!
  reply[2] = 0x80 | (query[2]! & 0x79)
  reply[3] = RECURSION_AVAILABLE | rcode
  return reply
}

/** What a UDP client takes. */
export function udpLimit(query: DnsMessage): number {
  return Math.min(LARGEST_UDP_BYTES, query.edns?.udpBytes ?? PLAIN_UDP_BYTES)
}

export interface OwnRecord {
  /** Canonical; left out = the name asked for, in the asker's spelling. */
  readonly name?: string
  readonly type: number
  readonly ttlSeconds: number
  readonly data: Uint8Array
}

export interface OwnReply {
  readonly rcode: number
  readonly isAuthoritative?: boolean
  readonly answers?: readonly OwnRecord[]
  readonly authorities?: readonly OwnRecord[]
}

/** Our own answer; the question is echoed byte by byte. Longer than `limitBytes`: without records, truncated. */
export function encodeDnsReply(query: DnsQuery, reply: OwnReply, limitBytes: number): Bytes {
  const opt = query.edns === undefined ? EMPTY : OWN_OPT
  const question = query.bytes.subarray(HEADER_BYTES, query.questionEnd)
  const answers = (reply.answers ?? []).map(encodeRecord)
  const authorities = (reply.authorities ?? []).map(encodeRecord)
  const header = new Uint8Array(HEADER_BYTES)
  const view = viewOf(header)
  const keep = query.flags & (dnsFlag.recursion | CHECKING_DISABLED)
  const flags = dnsFlag.response | keep | RECURSION_AVAILABLE | reply.rcode
  view.setUint16(0, query.id)
  view.setUint16(2, flags | (reply.isAuthoritative === true ? dnsFlag.authoritative : 0))
  view.setUint16(4, 1)
  view.setUint16(6, answers.length)
  view.setUint16(8, authorities.length)
  view.setUint16(10, opt.length > 0 ? 1 : 0)
  const whole = concat(header, question, ...answers, ...authorities, opt)
  if (whole.length <= limitBytes) return whole
  view.setUint16(2, flags | dnsFlag.truncated)
  view.setUint16(6, 0)
  view.setUint16(8, 0)
  return concat(header, question, opt)
}

const ASKED_NAME = Uint8Array.from([0xc0, HEADER_BYTES])
const OWN_OPT = Uint8Array.from([0, 0, dnsType.OPT, LARGEST_UDP_BYTES >> 8, LARGEST_UDP_BYTES & 255, 0, 0, 0, 0, 0, 0])

function encodeRecord(record: OwnRecord): Bytes {
  const name = record.name === undefined ? undefined : parseDnsName(record.name)
  const fixed = new Uint8Array(10)
  const view = viewOf(fixed)
  view.setUint16(0, record.type)
  view.setUint16(2, DNS_CLASS_IN)
  view.setUint32(4, record.ttlSeconds)
  view.setUint16(8, record.data.length)
  return concat(name?.ok ? name.value : ASKED_NAME, fixed, record.data)
}

/** A question of our own. Undefined when the name is none. */
export function encodeDnsQuery(id: number, name: string, type: number): Bytes | undefined {
  const wire = parseDnsName(name)
  if (!wire.ok) return undefined
  const header = new Uint8Array(HEADER_BYTES)
  const view = viewOf(header)
  view.setUint16(0, id)
  view.setUint16(2, dnsFlag.recursion)
  view.setUint16(4, 1)
  view.setUint16(10, 1)
  const tail = new Uint8Array(4)
  viewOf(tail).setUint16(0, type)
  viewOf(tail).setUint16(2, DNS_CLASS_IN)
  return concat(header, wire.value, tail, OWN_OPT)
}

/** The same message under another id. */
export function withDnsId(message: Uint8Array, id: number): Bytes {
  const copy = copyOf(message)
  viewOf(copy).setUint16(0, id)
  return copy
}

/** A server's reply for this asker: its id and spelling of the name, no TTL above what is left, truncated if too long. */
export function replyFor(query: DnsQuery, reply: DnsMessage, ageSeconds: number, limitBytes: number): Bytes {
  if (reply.bytes.length > limitBytes) {
    return encodeDnsReply(query, { rcode: reply.rcode, answers: [tooLong(limitBytes)] }, limitBytes)
  }
  const copy = withDnsId(reply.bytes, query.id)
  const view = viewOf(copy)
  for (const record of [...reply.answers, ...reply.authorities, ...reply.additionals]) {
    if (record.type === dnsType.OPT) continue
    view.setUint32(record.ttlOffset, Math.max(0, record.ttlSeconds - ageSeconds))
  }
  if (reply.questionEnd === query.questionEnd)
    copy.set(query.bytes.subarray(HEADER_BYTES, query.questionEnd), HEADER_BYTES)
  return copy
}

/** Makes the encoder say "truncated". */
function tooLong(limitBytes: number): OwnRecord {
  return { type: dnsType.TXT, ttlSeconds: 0, data: new Uint8Array(limitBytes) }
}

export function sameQuestion(a: DnsQuestion, b: DnsQuestion | undefined): boolean {
  return b !== undefined && a.name === b.name && a.type === b.type && a.class === b.class
}

/** How long a reply may be kept: the smallest TTL; for "there is none", what its SOA says. Undefined = not at all. */
export function keepSeconds(reply: DnsMessage): number | undefined {
  const isNegative = reply.rcode === dnsRcode.noName || (reply.rcode === dnsRcode.success && reply.answers.length === 0)
  if (isNegative) {
    const soa = reply.authorities.find((record) => record.type === dnsType.SOA)
    if (soa === undefined || soa.end - soa.start < 22) return undefined
    return Math.min(soa.ttlSeconds, viewOf(reply.bytes).getUint32(soa.end - 4))
  }
  if (reply.rcode !== dnsRcode.success) return undefined
  return Math.min(...reply.answers.map((record) => record.ttlSeconds))
}
