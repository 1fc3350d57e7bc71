/**
 * What happens to a request at a served port: decided here, done in `src-daemon/io/serve`. Pure.
 * [docs/rules/serve.md SVE-4, SVE-5]
 */
import type { IpText } from '../../../src-contract/ids.ts'
import type { HttpHandler, WebServer } from '../../../src-contract/localapi/serve.ts'
import { parseRedirect } from './config.ts'
import { type CallerIdentity, identityHeaders } from './identity-headers.ts'
import { type ProxyTarget, parseProxyTarget } from './proxy-target.ts'
import { findMount, type Mounted, parseRequestTarget, type RequestTarget } from './request-target.ts'

export interface WebRequest {
  /** Of the Host header or `:authority`, with its port if it has one. */
  readonly host: string
  /** Name that TLS was opened with; undefined without TLS. */
  readonly sni: string | undefined
  readonly target: string
  readonly port: number
  readonly remote: IpText
  /** Undefined: a tagged machine. */
  readonly caller: CallerIdentity | undefined
  /** Capability → values that the caller has here. */
  readonly callerCaps: ReadonlyMap<string, readonly unknown[]>
}

export interface WebSite {
  /** "nas.example.net:443" → its handlers. */
  readonly servers: { readonly [hostPort: string]: WebServer }
  /** "example.net": completes short names of plain HTTP. */
  readonly domain: string
}

export type WebAnswer =
  | { readonly kind: 'refused'; readonly status: 400 | 403 | 404 | 421; readonly text: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string }
  | {
      readonly kind: 'file'
      readonly key: string
      readonly path: string
      readonly mounted: Mounted
      readonly query: string
    }
  | {
      readonly kind: 'proxy'
      readonly target: ProxyTarget
      /** With the query. */
      readonly path: string
      /** After those of the request that pass on. */
      readonly headers: readonly (readonly [name: string, value: string])[]
    }

const refused = (status: 400 | 404 | 421, text: string): WebAnswer => ({ kind: 'refused', status, text })

export function answerFor(site: WebSite, request: WebRequest): WebAnswer {
  const name = /^([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.exec(request.host)?.[1]?.toLowerCase()
  if (name === undefined) return refused(400, 'whom this is for is not a name')
  if (request.sni !== undefined && request.sni.toLowerCase() !== name)
    return refused(421, 'this connection was opened for another name')
  const full = request.sni !== undefined || name.includes('.') || site.domain === '' ? name : `${name}.${site.domain}`
  const server = `${full.replace(/\.$/, '')}:${request.port}`
  const handlers = Object.hasOwn(site.servers, server) ? site.servers[server]!.Handlers : undefined
  const target = parseRequestTarget(request.target)
  if (!target.ok) return refused(400, `what is asked for ${target.reason}`)
  const mounted = handlers && findMount(handlers, target.value)
  if (mounted === undefined) return refused(404, 'nothing is served here')
  return answerOf(mounted, server, target.value, request)
}

function answerOf(mounted: Mounted, server: string, target: RequestTarget, request: WebRequest): WebAnswer {
  const { Text, Redirect, Path, Proxy: proxy } = mounted.handler
  if (Text !== undefined) return { kind: 'text', text: Text }
  if (Path !== undefined)
    return { kind: 'file', key: `${server}${mounted.mount}`, path: Path, mounted, query: target.query }
  if (Redirect !== undefined) return redirectTo(Redirect, request)
  const place = parseProxyTarget(proxy ?? '')
  if (!place.ok) return refused(404, 'nothing is served here') // refused when it was set
  const path = `${place.value.prefix}${mounted.rest}${target.query}`
  return { kind: 'proxy', target: place.value, path, headers: headersFor(mounted.handler, request) }
}

function redirectTo(text: string, { host, target }: WebRequest): WebAnswer {
  const read = parseRedirect(text)
  if (!read.ok) return refused(404, 'nothing is served here')
  const location = read.value.location.replaceAll('$' + '{HOST}', host).replaceAll('$' + '{REQUEST_URI}', target)
  return { kind: 'redirect', status: read.value.status, location }
}

function headersFor({ AcceptAppCaps = [] }: HttpHandler, request: WebRequest): [string, string][] {
  const headers: [string, string][] = [
    ['X-Forwarded-For', request.remote],
    ['X-Forwarded-Host', request.host],
    ...(request.sni === undefined ? [] : [['X-Forwarded-Proto', 'https'] as [string, string]]),
    ...identityHeaders(request.caller),
  ]
  const caps = AcceptAppCaps.filter((name) => request.callerCaps.has(name))
  if (caps.length === 0) return headers
  const values = Object.fromEntries(caps.map((name) => [name, request.callerCaps.get(name)]))
  return [...headers, ['Tailscale-App-Capabilities', asciiJson(values)]]
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
