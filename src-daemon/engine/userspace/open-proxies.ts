/** The proxies that the command line asks for: one listener where both have the same address. */
import type { Log } from '../../io/log/log.ts'
import type { Dialer } from '../../io/proxies/dialer-port.ts'
import { type ListenAddress, openProxy, type ProxyListener } from '../../io/proxies/proxy-listener.ts'

export interface WantedProxies {
  readonly socksServer: ListenAddress | undefined
  readonly httpProxy: ListenAddress | undefined
}

export async function openProxies(
  { socksServer, httpProxy }: WantedProxies,
  dialer: Dialer,
  log: Log,
): Promise<ProxyListener[]> {
  const isSame = socksServer?.host === httpProxy?.host && socksServer?.port === httpProxy?.port
  const opened: ProxyListener[] = []
  try {
    if (socksServer !== undefined) {
      opened.push(await openProxy({ ...socksServer, speaks: { socks: true, http: isSame }, dialer, log }))
    }
    if (httpProxy !== undefined && !isSame) {
      opened.push(await openProxy({ ...httpProxy, speaks: { socks: false, http: true }, dialer, log }))
    }
  } catch (error) {
    for (const listener of opened) await listener.close()
    throw new Error('the proxy cannot listen', { cause: error })
  }
  return opened
}
