/** Whether one serve config may follow another. Pure. [docs/rules/serve.md SVE-3] */
import type { ServeConfig, TcpPortHandler } from '../../../src-contract/localapi/serve.ts'

export interface ChangeFacts {
  readonly shieldsUp: boolean
}

/** A sentence for whoever wants the change, or undefined when nothing is against it. */
export function problemOfChange(before: ServeConfig, after: ServeConfig, facts: ChangeFacts): string | undefined {
  if (isFunnelOn(after) && facts.shieldsUp)
    return 'shields-up lets nobody in, so nothing can be opened to the internet; switch it off first: pintail set --shields-up=false'
  return foregroundProblem(before, after) ?? typeProblem(before, after) ?? serviceProblem(before, after)
}

export function isFunnelOn(config: ServeConfig): boolean {
  const isOn = ({ AllowFunnel = {} }: ServeConfig): boolean => Object.values(AllowFunnel).includes(true)
  return isOn(config) || Object.values(config.Foreground ?? {}).some(isOn)
}

function foregroundProblem(before: ServeConfig, after: ServeConfig): string | undefined {
  const holders = new Map<string, string>()
  for (const [session, { TCP = {} }] of Object.entries(after.Foreground ?? {})) {
    const isNew = before.Foreground?.[session] === undefined
    for (const port of Object.keys(TCP)) {
      if (holders.has(port) || (isNew && after.TCP?.[port] !== undefined)) return `port ${port} is in use already`
      holders.set(port, session)
    }
  }
  for (const port of Object.keys(after.TCP ?? {})) {
    const isNew = before.TCP?.[port] === undefined
    if (isNew && holders.has(port)) return `port ${port} is held by a command in the foreground; end that one first`
  }
  return undefined
}

type ServeType = 'http' | 'https' | 'tcp' | 'tls-terminated-tcp'

export function serveTypeOf({ HTTP, HTTPS, TerminateTLS }: TcpPortHandler): ServeType {
  if (HTTPS) return 'https'
  if (HTTP) return 'http'
  return TerminateTLS === undefined ? 'tcp' : 'tls-terminated-tcp'
}

function typeProblem(before: ServeConfig, after: ServeConfig): string | undefined {
  for (const [port, handler] of Object.entries(after.TCP ?? {})) {
    const was = before.TCP?.[port]
    if (was === undefined || serveTypeOf(was) === serveTypeOf(handler)) continue
    return `port ${port} serves ${serveTypeOf(was)} at present; switch that off before it serves ${serveTypeOf(handler)}`
  }
  return undefined
}

function serviceProblem(before: ServeConfig, after: ServeConfig): string | undefined {
  for (const [name, service] of Object.entries(after.Services ?? {})) {
    const was = before.Services?.[name]
    if (was !== undefined && (was.Tun === true) !== (service.Tun === true))
      return `${name} ${was.Tun ? 'takes everything (tun)' : 'has handlers'} at present; remove it before it changes`
  }
  return undefined
}
