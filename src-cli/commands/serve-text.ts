/** A serve config for people to read. [docs/rules/serve.md SVE-12] */
import type { HttpHandler, ServeConfig, TcpPortHandler } from '../../src-contract/localapi/serve.ts'
import { quote } from '../text/quote.ts'

const TEXT_SHOWN = 20

export interface Names {
  /** Without the final dot. */
  readonly host: string
  readonly addresses: readonly string[]
}

export function serveStatusText(config: ServeConfig, names: Names): string {
  const all = [config, ...Object.values(config.Foreground ?? {})]
  const parts = all.flatMap((one) => [...webTexts(one, names), ...streamTexts(one, names)])
  return parts.length === 0 ? 'No serve config\n' : `\n${parts.join('\n\n')}\n\n`
}

function webTexts({ Web = {}, TCP = {}, AllowFunnel = {} }: ServeConfig, { host: ownName }: Names): string[] {
  return Object.entries(Web).map(([key, { Handlers }]) => {
    const [host = '', port = ''] = splitPort(key)
    const access = AllowFunnel[key] ? 'Funnel on' : 'tailnet only'
    const isHttp = TCP[port]?.HTTP === true
    const lines = [`${urlOf(isHttp, host, port)} (${access})`]
    if (isHttp && host === ownName) lines.unshift(`${urlOf(true, host.split('.')[0] ?? host, port)} (${access})`)
    return [...lines, ...handlerLines(Handlers)].join('\n')
  })
}

function urlOf(isHttp: boolean, host: string, port: string): string {
  const usual = isHttp ? '80' : '443'
  return `${isHttp ? 'http' : 'https'}://${host}${port === usual ? '' : `:${port}`}`
}

/** Mounts, shortest first, in one column. */
export function handlerLines(handlers: { readonly [mount: string]: HttpHandler }): string[] {
  const mounts = Object.keys(handlers).sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
  const width = Math.max(...mounts.map((mount) => mount.length))
  return mounts.map((mount) => {
    const [kind, what] = handlerWords(handlers[mount]!)
    return `|-- ${mount.padEnd(width)} ${kind.padEnd(5)} ${what}`
  })
}

function handlerWords({ Path, Proxy: proxy, Text, Redirect }: HttpHandler): [string, string] {
  if (proxy !== undefined) return ['proxy', proxy]
  if (Path !== undefined) return ['path', Path]
  if (Redirect !== undefined) return ['redirect', Redirect]
  const text = Text ?? ''
  return ['text', text.length > TEXT_SHOWN ? `${quote(text.slice(0, TEXT_SHOWN)).slice(0, -1)}..."` : quote(text)]
}

function streamTexts({ TCP = {} }: ServeConfig, { host, addresses }: Names): string[] {
  return Object.entries(TCP)
    .filter(([, { TCPForward }]) => TCPForward !== undefined)
    .map(([port, handler]) => {
      const name = handler.TerminateTLS ?? host
      const ways = [name, ...addresses.map((ip) => (ip.includes(':') ? `[${ip}]` : ip))]
      const lines = ways.map((way) => `|-- tcp://${way}:${port}${way === name ? ` (${streamKind(handler)})` : ''}`)
      return [...lines, `|--> ${handler.TCPForward?.startsWith('unix:') ? '' : 'tcp://'}${handler.TCPForward}`].join(
        '\n',
      )
    })
}

function streamKind({ TerminateTLS, ProxyProtocol }: TcpPortHandler): string {
  const words = [
    ...(TerminateTLS === undefined ? ['tailnet only'] : ['TLS-terminated TCP', 'tailnet only']),
    ...(ProxyProtocol === undefined ? [] : [`PROXY protocol v${ProxyProtocol}`]),
  ]
  return words.join(', ')
}

function splitPort(key: string): [string, string] {
  const at = key.lastIndexOf(':')
  return [key.slice(0, at), key.slice(at + 1)]
}
