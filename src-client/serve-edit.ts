/**
 * Changes of a serve config as commands and the app make them. Pure; the daemon checks the outcome again.
 * [docs/rules/serve.md SVE-11]
 */
import type { HttpHandler, ServeConfig, TcpPortHandler } from '../src-contract/localapi/serve.ts'

export type ServeKind = 'https' | 'http' | 'tcp' | 'tls-terminated-tcp'

export interface ServedPlace {
  readonly kind: ServeKind
  readonly port: number
  /** This machine's full name, without the final dot. */
  readonly host: string
}

export interface ServedSite extends ServedPlace {
  readonly kind: 'https' | 'http'
  readonly mount: string
  readonly handler: HttpHandler
}

export interface ServedStream extends ServedPlace {
  readonly kind: 'tcp' | 'tls-terminated-tcp'
  /** "127.0.0.1:22" or "unix:/…". */
  readonly to: string
  readonly proxyProtocol: 1 | 2 | undefined
}

/** A sentence for whoever typed it. */
export class ServeEditError extends Error {
  override readonly name = 'ServeEditError'
}

export function withServed(config: ServeConfig, wish: ServedSite | ServedStream): ServeConfig {
  const next = structuredClone(config)
  const port = String(wish.port)
  const was = next.TCP?.[port]
  if (was !== undefined && kindOf(was) !== wish.kind)
    throw new ServeEditError(
      `port ${port} serves ${kindOf(was)} at present; switch that off first: pintail serve --${kindOf(was)}=${port} off`,
    )
  next.TCP = { ...next.TCP, [port]: portHandler(wish) }
  if ('mount' in wish) {
    const key = `${wish.host}:${port}`
    const handlers = { ...next.Web?.[key]?.Handlers }
    const twin = wish.mount === '/' ? undefined : wish.mount.endsWith('/') ? wish.mount.slice(0, -1) : `${wish.mount}/`
    if (twin !== undefined) delete handlers[twin] // one place, however it is written
    next.Web = { ...next.Web, [key]: { Handlers: { ...handlers, [wish.mount]: wish.handler } } }
  }
  return next
}

/** `mount` undefined = all that the port serves. */
export function withoutServed(config: ServeConfig, place: ServedPlace, mount: string | undefined): ServeConfig {
  const next = structuredClone(config)
  const port = String(place.port)
  const was = next.TCP?.[port]
  if (was === undefined) throw new ServeEditError(`nothing is served on port ${port}`)
  if (kindOf(was) !== place.kind)
    throw new ServeEditError(
      `port ${port} serves ${kindOf(was)}, not ${place.kind}: pintail serve --${kindOf(was)}=${port} off`,
    )
  const key = `${place.host}:${port}`
  const handlers = { ...next.Web?.[key]?.Handlers }
  if (mount !== undefined) {
    const known = [mount, `${mount}/`].find((name) => Object.hasOwn(handlers, name))
    if (known === undefined) throw new ServeEditError(`nothing is served at ${mount} on port ${port}`)
    delete handlers[known]
    next.Web = { ...next.Web, [key]: { Handlers: handlers } }
    if (Object.keys(handlers).length > 0) return next
  }
  delete next.TCP?.[port]
  for (const name of Object.keys(next.Web ?? {})) if (name.endsWith(`:${port}`)) delete next.Web?.[name]
  for (const name of Object.keys(next.AllowFunnel ?? {})) if (name.endsWith(`:${port}`)) delete next.AllowFunnel?.[name]
  return next
}

export function kindOf({ HTTPS, HTTP, TerminateTLS }: TcpPortHandler): ServeKind {
  if (HTTPS) return 'https'
  if (HTTP) return 'http'
  return TerminateTLS === undefined ? 'tcp' : 'tls-terminated-tcp'
}

function portHandler(wish: ServedSite | ServedStream): TcpPortHandler {
  if (!('to' in wish)) return wish.kind === 'https' ? { HTTPS: true } : { HTTP: true }
  return {
    TCPForward: wish.to,
    ...(wish.kind === 'tcp' ? {} : { TerminateTLS: wish.host }),
    ...(wish.proxyProtocol === undefined ? {} : { ProxyProtocol: wish.proxyProtocol }),
  }
}

/** What somebody typed as that which is to be served; `isFolder` is asked about paths. */
export async function readHandler(
  text: string,
  isFolder: (path: string) => Promise<boolean | undefined>,
): Promise<{ handler: HttpHandler; isFolder: boolean }> {
  if (text.startsWith('text:')) {
    if (text === 'text:') throw new ServeEditError('there is no text behind "text:"')
    return { handler: { Text: text.slice('text:'.length) }, isFolder: false }
  }
  if (text.startsWith('/')) {
    const kind = await isFolder(text)
    if (kind === undefined) throw new ServeEditError(`there is no file or folder ${text}`)
    return { handler: { Path: text }, isFolder: kind }
  }
  return { handler: { Proxy: readTarget(text, ['http', 'https', 'https+insecure']) }, isFolder: false }
}

/** A port, an address, a URL or a Unix socket. Other machines need a scheme, so that a slip does not publish them. */
export function readTarget(text: string, schemes: readonly string[]): string {
  if (text.startsWith('unix:')) {
    if (!text.startsWith('unix:/')) throw new ServeEditError(`${text} does not name a socket by its full path`)
    return text
  }
  if (/^\d+$/.test(text)) {
    if (Number(text) < 1 || Number(text) > 65_535) throw new ServeEditError(`${text} is no port`)
    return `${schemes[0]}://127.0.0.1:${text}`
  }
  const scheme = /^([a-z+]+):\/\//.exec(text)?.[1]
  if (scheme !== undefined) {
    if (!schemes.includes(scheme))
      throw new ServeEditError(`${text}: use one of ${schemes.map((one) => `${one}://`).join(', ')}`)
    return text
  }
  if (/^(localhost|127\.0\.0\.1):\d+/.test(text)) return `${schemes[0]}://${text}`
  throw new ServeEditError(`${JSON.stringify(text)} is no port, no address with http:// in front and no full path`)
}
