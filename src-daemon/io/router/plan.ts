/**
 * What to tell `ip -batch` to get from one configuration to another. Pure; `linux.ts` runs it.
 *
 * Routes go to the main table, one per peer address; they name no source, the kernel takes the interface's address.
 */
import type { RouterConfig } from './port.ts'

export interface InterfaceState {
  readonly up: boolean
  readonly mtuBytes: number
  readonly addresses: ReadonlySet<string>
  readonly routes: ReadonlySet<string>
}

export const interfaceDown: InterfaceState = { up: false, mtuBytes: 0, addresses: new Set(), routes: new Set() }

export function stateOf(desired: RouterConfig | undefined, ipv6: boolean): InterfaceState {
  if (desired === undefined) return interfaceDown
  const usable = (text: string): boolean => ipv6 || !text.includes(':')
  return {
    up: true,
    mtuBytes: desired.mtuBytes,
    addresses: new Set(desired.addresses.filter(usable)),
    routes: new Set(desired.routes.filter(usable)),
  }
}

/** Lines for `ip -batch -`; empty when there is nothing to do. */
export function batchLines(device: string, have: InterfaceState, want: InterfaceState): string[] {
  const lines: string[] = []
  for (const route of have.routes) {
    // Taking the interface down takes its routes with it.
    if (want.up && !want.routes.has(route)) lines.push(`route del ${route} dev ${device}`)
  }
  for (const address of have.addresses) {
    if (!want.addresses.has(address)) lines.push(`address del ${hostPrefix(address)} dev ${device}`)
  }
  if (want.up && have.mtuBytes !== want.mtuBytes) lines.push(`link set dev ${device} mtu ${want.mtuBytes}`)
  for (const address of want.addresses) {
    if (!have.addresses.has(address))
      lines.push(`address replace ${hostPrefix(address)} dev ${device}${v6Flags(address)}`)
  }
  if (want.up !== have.up) lines.push(`link set dev ${device} ${want.up ? 'up' : 'down'}`)
  for (const route of want.routes) {
    if (!have.routes.has(route) || !have.up) lines.push(`route replace ${route} dev ${device}`)
  }
  return lines
}

export function hostPrefix(address: string): string {
  return address.includes(':') ? `${address}/128` : `${address}/32`
}

/** No duplicate detection on a tunnel: it would only delay the address by a second. */
function v6Flags(address: string): string {
  return address.includes(':') ? ' nodad' : ''
}
