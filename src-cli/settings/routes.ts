/** The routes a node offers; being an exit node is offering both default routes. Pure. */
import { comparePrefixes, parsePrefix } from '../text/address.ts'
import { CommandError } from '../verb.ts'

const DEFAULT_V4 = '0.0.0.0/0'
const DEFAULT_V6 = '::/0'

type Routes = readonly string[] | null

export function advertisesExitNode(routes: Routes): boolean {
  return routes?.includes(DEFAULT_V4) === true && routes.includes(DEFAULT_V6)
}

export function subnetRoutes(routes: Routes): string[] {
  return (routes ?? []).filter((route) => route !== DEFAULT_V4 && route !== DEFAULT_V6)
}

/** null instead of an empty list, as the daemon writes it. */
export function withExitRoutes(routes: Routes, exitNode: boolean): string[] | null {
  const all = [...new Set([...subnetRoutes(routes), ...(exitNode ? [DEFAULT_V4, DEFAULT_V6] : [])])]
  return all.length === 0 ? null : all.sort(comparePrefixes)
}

export function parseRoutes(text: string): string[] {
  if (text === '') return []
  const routes = text.split(',').map((part) => {
    const parsed = parsePrefix(part.trim())
    if (!parsed.ok) throw new CommandError(parsed.problem)
    return parsed.prefix
  })
  const [v4, v6] = [routes.includes(DEFAULT_V4), routes.includes(DEFAULT_V6)]
  if (v4 !== v6) {
    const [one, other, family] = v4 ? [DEFAULT_V4, DEFAULT_V6, 'IPv6'] : [DEFAULT_V6, DEFAULT_V4, 'IPv4']
    throw new CommandError(`${one} advertised without its ${family} counterpart, please also advertise ${other}`)
  }
  return routes
}
