/** A serve config as somebody sent it, or as it was kept. Pure. [docs/rules/serve.md SVE-1] */
import type {
  HttpHandler,
  ServeConfig,
  ServiceConfig,
  TcpPortHandler,
  WebServer,
} from '../../../src-contract/localapi/serve.ts'
import { bad, type Decoded, ok } from '../../wire/decoded.ts'
import { isJsonObject, type JsonObject } from '../../wire/json.ts'
import { parseForward, parseProxyTarget, quoted } from './proxy-target.ts'

const MAX_ENTRIES = 1_000
const MAX_TEXT = 64 << 10

/** Reasons are sentences for whoever sent it. */
export function parseServeConfig(value: unknown): Decoded<ServeConfig> {
  return config(value, 'the config', true)
}

function config(value: unknown, where: string, mayHaveForeground: boolean): Decoded<ServeConfig> {
  return fields(value, where, {
    TCP: entries(`${where}: TCP`, isPort, port),
    Web: entries(`${where}: Web`, isHostPort, web),
    Services: entries(`${where}: Services`, isService, service),
    AllowFunnel: entries(`${where}: AllowFunnel`, isHostPort, (part, key) => flag(key)(part)),
    Foreground: mayHaveForeground
      ? entries(`${where}: Foreground`, isSession, (part, key) => config(part, key, false))
      : refuse(`${where}: a foreground config has no Foreground of its own`),
  })
}

function service(value: unknown, where: string): Decoded<ServiceConfig> {
  const read = fields<ServiceConfig>(value, where, {
    TCP: entries(`${where}: TCP`, isPort, port),
    Web: entries(`${where}: Web`, isHostPort, web),
    Tun: flag(`${where}: Tun`),
  })
  if (read.ok && read.value.Tun && (read.value.TCP !== undefined || read.value.Web !== undefined))
    return bad(`${where}: Tun takes everything; it leaves nothing for TCP and Web`)
  return read
}

function port(value: unknown, where: string): Decoded<TcpPortHandler> {
  const read = fields<TcpPortHandler>(value, where, {
    HTTPS: flag(`${where}: HTTPS`),
    HTTP: flag(`${where}: HTTP`),
    TCPForward: text(`${where}: TCPForward`, parseForward),
    TerminateTLS: text(`${where}: TerminateTLS`, hostName),
    ProxyProtocol: proxyProtocol(`${where}: ProxyProtocol`),
  })
  if (!read.ok) return read
  const { HTTPS, HTTP, TCPForward, TerminateTLS, ProxyProtocol } = read.value
  const kinds = [HTTPS === true, HTTP === true, TCPForward !== undefined].filter(Boolean).length
  if (kinds !== 1) return bad(`${where}: exactly one of HTTPS, HTTP and TCPForward`)
  if (TCPForward === undefined && (TerminateTLS !== undefined || ProxyProtocol !== undefined))
    return bad(`${where}: TerminateTLS and ProxyProtocol go with TCPForward`)
  return read
}

function web(value: unknown, where: string): Decoded<WebServer> {
  const read = fields<Partial<WebServer>>(value, where, { Handlers: entries(where, isMount, handler) })
  return read.ok ? ok({ Handlers: read.value.Handlers ?? {} }) : read
}

function handler(value: unknown, where: string): Decoded<HttpHandler> {
  const read = fields<HttpHandler>(value, where, {
    Path: text(`${where}: Path`, fullPath),
    Proxy: text(`${where}: Proxy`, parseProxyTarget),
    Text: text(`${where}: Text`),
    Redirect: text(`${where}: Redirect`, parseRedirect),
    AcceptAppCaps: names(`${where}: AcceptAppCaps`),
  })
  if (!read.ok) return read
  const { Path, Proxy: proxy, Text, Redirect } = read.value
  const kinds = [Path, proxy, Text, Redirect].filter((one) => one !== undefined).length
  return kinds === 1 ? read : bad(`${where}: exactly one of Path, Proxy, Text and Redirect`)
}

/** `301:https://…`; 302 without a status. */
export function parseRedirect(value: string): Decoded<{ status: number; location: string }> {
  const [, status = '302', location = ''] = /^(?:(3\d\d):)?(.*)$/s.exec(value) ?? []
  if (!/^(https?:\/\/|\/)[\x21-\x7e]*$/.test(location)) return bad(`${quoted(value)} is no address to send people to`)
  return ok({ status: Number(status), location })
}

// Parts ---------------------------------------------------------------------------------------------------------------

type Reader<T> = (part: unknown) => Decoded<T>
type Readers<T> = { readonly [name in keyof T]-?: Reader<T[name] | undefined> }

/** Known fields only: what is not understood must not be lost without a word. Null and empty objects are left out. */
function fields<T extends object>(value: unknown, where: string, readers: Readers<T>): Decoded<T> {
  if (!isJsonObject(value)) return bad(`${where} is no object`)
  const result: JsonObject = {}
  for (const [name, part] of Object.entries(value)) {
    if (!Object.hasOwn(readers, name))
      return bad(`${where} has a field ${quoted(name)}, which this daemon does not know`)
    if (part === null || part === undefined) continue
    const read: Decoded<unknown> = readers[name as keyof T](part)
    if (!read.ok) return read
    if (name === 'Text' || !isNothing(read.value)) result[name] = read.value
  }
  return ok(result as T)
}

function isNothing(value: unknown): boolean {
  return (
    value === undefined || value === false || value === '' || (isJsonObject(value) && Object.keys(value).length === 0)
  )
}

function entries<T>(
  where: string,
  isKey: (key: string) => boolean,
  read: (part: unknown, where: string) => Decoded<T>,
): Reader<{ [key: string]: T }> {
  return (value) => {
    if (!isJsonObject(value)) return bad(`${where} is no object`)
    const list = Object.entries(value)
    if (list.length > MAX_ENTRIES) return bad(`${where} has more than ${MAX_ENTRIES} entries`)
    const result: { [key: string]: T } = {}
    for (const [key, part] of list) {
      if (!isKey(key)) return bad(`${where} has ${quoted(key)}, which is no such key`)
      const one = read(part, `${where} ${quoted(key)}`)
      if (!one.ok) return one
      result[key] = one.value
    }
    return ok(result)
  }
}

/** The text as it was, when `understand` understands it; "" stands for nothing. */
function text(where: string, understand: (text: string) => Decoded<unknown> = ok): Reader<string> {
  return (value) => {
    if (typeof value !== 'string' || value.length > MAX_TEXT) return bad(`${where} is no text`)
    const understood = value === '' ? ok(value) : understand(value)
    return understood.ok ? ok(value) : bad(`${where}: ${understood.reason}`)
  }
}

function flag(where: string): Reader<boolean> {
  return (value) => (typeof value === 'boolean' ? ok(value) : bad(`${where} is neither true nor false`))
}

function proxyProtocol(where: string): Reader<1 | 2 | undefined> {
  return (value) => {
    if (value === 0) return ok(undefined)
    return value === 1 || value === 2 ? ok(value) : bad(`${where} is 1 or 2`)
  }
}

function names(where: string): Reader<string[]> {
  return (value) =>
    Array.isArray(value) && value.length <= MAX_ENTRIES && value.every((one) => typeof one === 'string' && one !== '')
      ? ok(value as string[])
      : bad(`${where} is a list of names`)
}

function refuse(reason: string): Reader<undefined> {
  return () => bad(reason)
}

function hostName(name: string): Decoded<string> {
  return isHostName(name) ? ok(name) : bad(`${quoted(name)} is no name of a machine`)
}

function fullPath(path: string): Decoded<string> {
  return path.startsWith('/') && !path.includes('\0') ? ok(path) : bad(`${quoted(path)} is no full path`)
}

const isPort = (key: string): boolean => /^[1-9]\d{0,4}$/.test(key) && Number(key) <= 65_535
const isHostName = (name: string): boolean =>
  name.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/i.test(name)
const isService = (key: string): boolean => /^svc:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(key)
const isSession = (key: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(key)
const isMount = (key: string): boolean => /^\/[\x21-\x7e]{0,1000}$/.test(key) && !/[?#]|(^|\/)\.{1,2}(\/|$)/.test(key)

function isHostPort(key: string): boolean {
  const at = key.lastIndexOf(':')
  return at > 0 && isHostName(key.slice(0, at)) && isPort(key.slice(at + 1))
}
