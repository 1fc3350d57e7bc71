/** What becomes of the connection over which a person makes a change. Pure. [docs/rules/changes.md CHG-6] */
import type { ChangeWarning } from '../../../src-contract/localapi/changes.ts'
import { ipBytes, ipPort, parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import type { RouterConfig } from '../../io/router/port.ts'
import { type NetworkView, wayTo } from './network-view.ts'
import type { Session } from './parse-change.ts'

export function isThroughTunnel(view: NetworkView, { client, server }: Session): boolean {
  return view.connected && (wayTo(view, client.ip) !== undefined || view.router.addresses.includes(server.ip))
}

export function sessionWarnings(before: NetworkView, after: NetworkView, session: Session): ChangeWarning[] {
  const cut = whyCut(before, after, session)
  const { client, server } = session
  const name = `This session (${ipPort(client.ip, client.port)} → ${ipPort(server.ip, server.port)})`
  if (cut !== undefined) return [{ Code: 'session-cut', Text: `${name} would be cut: ${cut}.`, Fix: [] }]
  const isRefused =
    after.settings.prefs.ShieldsUp && !before.settings.prefs.ShieldsUp && isThroughTunnel(before, session)
  if (!isRefused) return []
  const Text = `${name} goes on, but a new one would be refused: incoming connections are blocked.`
  return [{ Code: 'session-not-again', Text, Fix: [] }]
}

function whyCut(before: NetworkView, after: NetworkView, { client, server }: Session): string | undefined {
  if (before.router.addresses.includes(server.ip) && !after.router.addresses.includes(server.ip))
    return `this machine would no longer have the address ${server.ip}`
  const [was, is] = [wayTo(before, client.ip), wayTo(after, client.ip)]
  if (isForwarded(before.router, server.ip) && !isForwarded(after.router, server.ip) && was !== undefined)
    return `${server.ip} would no longer be offered to other machines`
  if (was === undefined && is === undefined) return undefined
  if (is === undefined) return `packets to ${client.ip} would leave the tunnel`
  if (is.Way === 'blocked') return `packets to ${client.ip} would go nowhere, for the exit node cannot be used`
  if (was === undefined)
    return `packets to ${client.ip} would go into the tunnel, through ${is.ViaName || 'another machine'}`
  return was.Via === is.Via ? undefined : `packets to ${client.ip} would go through ${is.ViaName || 'another machine'}`
}

function isForwarded({ advertisedRoutes }: RouterConfig, address: string): boolean {
  return advertisedRoutes.some((text) => {
    const prefix = parsePrefix(text)
    return prefix.ok && prefix.value.bits > 0 && prefixContains(prefix.value, ipBytes(address))
  })
}
