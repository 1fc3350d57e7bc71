/**
 * `/dns-query` as a machine that serves as exit node offers it at its PeerAPI: a request in, a reply out. Who may ask is
 * decided before: whoever may reach the internet through us. [RFC 8484; features.md §5, §8.1]
 */
import { MAX_DNS_BYTES } from '../../../src-protocol/wire/dns.ts'
import { DNS_MEDIA_TYPE } from '../../io/dns/upstream.ts'

export interface DnsHttpRequest {
  readonly method: string
  /** Behind the `?`, without it. */
  readonly query: URLSearchParams
  readonly contentType: string | undefined
  /** Of a POST; at most {@link MAX_DNS_BYTES} are of use. */
  readonly body: Uint8Array
}

export interface DnsHttpReply {
  readonly status: number
  readonly contentType: string
  readonly body: Uint8Array
}

/** `answer`: `DnsService.answerForOther`. */
export async function handleDnsOverHttp(
  request: DnsHttpRequest,
  answer: (query: Uint8Array) => Promise<Uint8Array>,
): Promise<DnsHttpReply> {
  const question = readQuestion(request)
  if (typeof question === 'number') return problem(question)
  return { status: 200, contentType: DNS_MEDIA_TYPE, body: await answer(question) }
}

function readQuestion({ method, query, contentType, body }: DnsHttpRequest): Uint8Array | number {
  if (method === 'GET') {
    const text = query.get('dns') ?? ''
    if (!/^[A-Za-z0-9_-]+$/.test(text) || text.length > MAX_DNS_BYTES) return 400
    return checked(Buffer.from(text, 'base64url'))
  }
  if (method !== 'POST') return 405
  if (contentType?.split(';')[0]?.trim().toLowerCase() !== DNS_MEDIA_TYPE) return 415
  return body.length > MAX_DNS_BYTES ? 413 : checked(body)
}

/** What is too short for a question, or is none, gets no answer from a resolver; here it must have one. */
function checked(bytes: Uint8Array): Uint8Array | number {
  return bytes.length < 12 || (bytes[2]! & 0x80) !== 0 ? 400 : bytes
}

function problem(status: number): DnsHttpReply {
  return { status, contentType: 'text/plain; charset=utf-8', body: Buffer.from(`HTTP ${status}\n`) }
}
