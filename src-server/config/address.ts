/** `host:port` texts of the config file: where to listen. */
import { parseIp } from '../../src-protocol/wire/ip.ts'

export interface ListenAddress {
  /** Undefined: every address of this machine, IPv6 and IPv4. */
  readonly host: string | undefined
  readonly port: number
}

/** Accepts `:8080`, `*:8080`, `127.0.0.1:8080`, `[::1]:8080`. Port 0 lets the system choose. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  if (port > 0xffff) return undefined
  const host = match[1] ?? match[2]!
  if (host === '' || host === '*') return { host: undefined, port }
  if (match[1] !== undefined && !parseIp(host).ok) return undefined
  return { host, port }
}

export function listenText(address: ListenAddress): string {
  const host = address.host ?? '*'
  return host.includes(':') ? `[${host}]:${address.port}` : `${host}:${address.port}`
}
