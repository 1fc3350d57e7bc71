/** Where a proxy handler or a forwarder leads, as people write it. Pure. [docs/rules/serve.md SVE-2] */
import { bad, type Decoded, ok } from '../../wire/decoded.ts'

export interface ProxyTarget {
  readonly scheme: 'http' | 'https'
  /** TLS without looking at the certificate. */
  readonly isInsecure: boolean
  /** Of TCP; undefined with a socket path. */
  readonly host: string | undefined
  readonly port: number
  readonly socketPath: string | undefined
  /** Put in front of what is asked for; without a final slash. */
  readonly prefix: string
}

const schemes = {
  'http:': { scheme: 'http', isInsecure: false, port: 80 },
  'https:': { scheme: 'https', isInsecure: false, port: 443 },
  'https+insecure:': { scheme: 'https', isInsecure: true, port: 443 },
} as const

export function parseProxyTarget(text: string): Decoded<ProxyTarget> {
  if (text.startsWith('unix:')) {
    const socketPath = text.slice('unix:'.length)
    if (!isSocketPath(socketPath)) return bad(`${quoted(text)} does not name a socket by its full path`)
    return ok({ scheme: 'http', isInsecure: false, host: undefined, port: 0, socketPath, prefix: '' })
  }
  if (/^\d+$/.test(text)) return parseProxyTarget(`http://127.0.0.1:${text}`)
  if (!/^[a-z+]+:\/\//.test(text)) {
    if (!/^(localhost|127\.0\.0\.1):\d+$/.test(text.split('/')[0]!))
      return bad(`${quoted(text)} needs a port, or http:// or https:// in front`)
    return parseProxyTarget(`http://${text}`)
  }
  const name = text.slice(0, text.indexOf('//'))
  const known = Object.hasOwn(schemes, name) ? schemes[name as keyof typeof schemes] : undefined
  if (known === undefined) return bad(`${quoted(text)}: proxies speak http://, https://, https+insecure:// or unix:`)
  const form = /^(\[[0-9a-fA-F:.]+\]|[^/?#@:\s[\]]+)(?::(\d{1,5}))?(\/[^?#\s]*)?$/.exec(text.slice(name.length + 2))
  const port = form?.[2] === undefined ? known.port : Number(form[2])
  if (form?.[1] === undefined || port < 1 || port > 65_535) return bad(`${quoted(text)} is not an address`)
  const host = form[1].replace(/^\[|\]$/g, '')
  return ok({
    scheme: known.scheme,
    isInsecure: known.isInsecure,
    host,
    port,
    socketPath: undefined,
    prefix: (form[3] ?? '').replace(/\/+$/, ''),
  })
}

/** `host:port` or `unix:/path`. */
export function parseForward(text: string): Decoded<{ host: string; port: number } | { socketPath: string }> {
  if (text.startsWith('unix:')) {
    const socketPath = text.slice('unix:'.length)
    return isSocketPath(socketPath)
      ? ok({ socketPath })
      : bad(`${quoted(text)} does not name a socket by its full path`)
  }
  const form = /^(?:\[([0-9a-fA-F:.]+)\]|([^/?#@:\s[\]]+)):(\d{1,5})$/.exec(text)
  const host = form?.[1] ?? form?.[2]
  const port = Number(form?.[3])
  if (host === undefined || !(port >= 1 && port <= 65_535)) return bad(`${quoted(text)} is not an address with a port`)
  return ok({ host, port })
}

function isSocketPath(path: string): boolean {
  return /^\/[^\0]{1,106}$/.test(path)
}

export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
