/**
 * Whether a request may come from a client of ours at all, before anybody looks at what it asks for: a web page must
 * not reach the daemon, by whatever trick. Pure. [docs/rules/localapi.md LA-1]
 */
import type { IncomingHttpHeaders } from 'node:http'

const SOCKET_HOST = 'local-tailscaled.sock'

export interface RequestHead {
  readonly target: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
}

export function isForeignRequest(head: RequestHead): boolean {
  if (head.headers.origin !== undefined || head.headers.referer !== undefined) return true
  if (!head.target.startsWith('/')) return true
  const hosts = head.rawHeaders.filter((_text, i) => i % 2 === 0 && head.rawHeaders[i]?.toLowerCase() === 'host')
  if (hosts.length > 1) return true
  const host = head.headers.host ?? ''
  return host !== '' && host !== SOCKET_HOST
}
