/** `/dns-query`: names for those who use us as their exit node. [RFC 8484; docs/rules/peerapi.md PA-4] */
import { MAX_DNS_BYTES } from '../../../src-protocol/wire/dns.ts'
import { plain } from '../../io/peerapi/listener.ts'
import type { PeerApiRequest } from '../../io/peerapi/port.ts'
import { handleDnsOverHttp } from '../dns/dns-over-http.ts'
import { mayAskNames } from './admission.ts'
import type { PeerApiRoute } from './peer-api.ts'

const BODY_LIMIT_MS = 5_000
/** A little more than our servers get. */
const ANSWER_LIMIT_MS = 7_000

/** `answer`: `DnsService.answerForOther`. */
export function nameRoute(answer: (query: Uint8Array) => Promise<Uint8Array>): PeerApiRoute {
  return {
    path: '/dns-query',
    async answer({ peer, view, request }) {
      if (!mayAskNames(view, peer, request.remoteAddress)) return plain(403, 'DNS is not offered to this peer')
      const body = await withinMs(BODY_LIMIT_MS, readBody(request, MAX_DNS_BYTES))
      if (body === undefined) return plain(413, 'too long, or too slow')
      const contentType = request.headers['content-type']
      const asked = {
        method: request.method,
        query: request.query,
        contentType: typeof contentType === 'string' ? contentType : undefined,
        body,
      }
      const reply = await withinMs(ANSWER_LIMIT_MS, handleDnsOverHttp(asked, answer))
      return reply ?? plain(504, 'no answer in time')
    },
  }
}

/** Undefined: there is more. */
async function readBody(request: PeerApiRequest, maxBytes: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body) {
    size += chunk.length
    if (size > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function withinMs<T>(limitMs: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), limitMs)
  })
  work.catch(() => {}) // it may fail when nobody waits for it any more
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
