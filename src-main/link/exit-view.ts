/** From what the daemon says to what people see of exit nodes. Pure. `ux.md` 2.8. */
import type { ExitNode, ExitNow, ExitState, LastExit } from '../../src-contract/app/exit.ts'
import { noExit } from '../../src-contract/app/exit.ts'
import type { Location, Node } from '../../src-contract/control/map.ts'
import { idText } from '../../src-contract/ids.ts'
import type { Mirror } from '../../src-contract/localapi/mirror.ts'
import { cleanText, realTime, shortName } from './names.ts'

/** In `ExitNodeID`: automatic, and none found yet. */
export const AUTO_ANY = 'auto:any'
const EARTH_RADIUS_KM = 6371

export function offersExit(node: Node): boolean {
  const allowed = node.AllowedIPs ?? []
  return allowed.includes('0.0.0.0/0') && allowed.includes('::/0')
}

/** Servers that are offered by their place are exit nodes and no devices. */
export function isPlacedServer(node: Node): boolean {
  return node.IsWireGuardOnly === true && node.Hostinfo?.Location !== undefined
}

export function exitNow({ prefs, peers }: Mirror): ExitNow {
  const id = prefs?.ExitNodeID ?? ''
  const address = prefs?.ExitNodeIP ?? ''
  if (id === '' && address === '') return { kind: 'off' }
  if (id === AUTO_ANY) return { kind: 'blocked', id: '', name: '', why: 'none-found' }
  const node = find(peers, id, address)
  if (node === undefined) return { kind: 'blocked', id, name: cleanText(id === '' ? address : '', 60), why: 'gone' }
  const known = { id: node.StableID, name: exitName(node) }
  if (!offersExit(node)) return { kind: 'blocked', ...known, why: 'not-offering' }
  if (node.Online === false) return { kind: 'blocked', ...known, why: 'offline' }
  return { kind: 'on', ...known }
}

function find(peers: Mirror['peers'], id: string, address: string): Node | undefined {
  for (const node of peers.values()) {
    const isIt =
      id !== '' ? node.StableID === id : node.Addresses?.some((prefix) => prefix.replace(/\/\d+$/, '') === address)
    if (isIt === true) return node
  }
  return undefined
}

/** A server of a place is called by its city. */
function exitName(node: Node): string {
  const city = isPlacedServer(node) ? cleanText(node.Hostinfo?.Location?.City ?? '', 60) : ''
  return city || shortName(node.Name, node.Hostinfo?.Hostname)
}

export function exitState(mirror: Mirror, recentIds: readonly string[]): ExitState {
  const { prefs, peers } = mirror
  if (prefs === null) return noExit
  const offered = new Map<string, Node>()
  for (const node of peers.values()) if (offersExit(node)) offered.set(node.StableID, node)
  const recent = recentIds.filter((id) => offered.has(id))
  return {
    now: exitNow(mirror),
    takesOver: (prefs.AutoExitNode ?? '') !== '' || prefs.ExitNodeID === AUTO_ANY,
    allowLan: prefs.ExitNodeAllowLANAccess,
    suggestedId: offered.has(mirror.suggestedExitNode) ? mirror.suggestedExitNode : '',
    last: lastOf(prefs.InternalExitNodePrior || recent[0] || '', offered),
    recentIds: recent,
  }
}

function lastOf(id: string, offered: ReadonlyMap<string, Node>): LastExit {
  if (id === AUTO_ANY) return { kind: 'auto' }
  const node = offered.get(id)
  return node === undefined ? { kind: 'none' } : { kind: 'node', id, name: exitName(node) }
}

export function exitNodes({ self, peers, derpMap }: Mirror, nowMs: number): ExitNode[] {
  const home = self?.HomeDERP === undefined ? undefined : derpMap?.Regions?.[String(self.HomeDERP)]
  const nodes: ExitNode[] = []
  for (const node of peers.values()) if (offersExit(node)) nodes.push(exitNode(node, home ?? undefined, nowMs))
  return nodes
}

interface Place {
  readonly Latitude?: number
  readonly Longitude?: number
}

function exitNode(node: Node, home: Place | undefined, nowMs: number): ExitNode {
  const location = isPlacedServer(node) ? node.Hostinfo?.Location : undefined
  const expiry = realTime(node.KeyExpiry)
  const isExpired = node.Expired ?? (expiry !== null && Date.parse(expiry) < nowMs)
  // Nobody watches whether a server of a place is there.
  const isOnline = location === undefined ? node.Online === true : node.Online !== false
  return {
    id: node.StableID || idText(node.ID),
    name: shortName(node.Name, node.Hostinfo?.Hostname),
    state: isExpired ? 'expired' : isOnline ? 'online' : 'offline',
    place: location === undefined ? null : placeOf(location),
    priority: Number(location?.Priority ?? 0),
    distanceKm: location === undefined ? null : distanceKm(home, location),
  }
}

function placeOf({ Country, CountryCode, City }: Location): ExitNode['place'] {
  const code = (CountryCode ?? '').toUpperCase()
  return {
    country: cleanText(Country ?? '', 60),
    countryCode: /^[A-Z]{2}$/.test(code) ? code : '',
    city: cleanText(City ?? '', 60),
  }
}

/** To ten kilometres. */
export function distanceKm(from: Place | undefined, to: Place): number | null {
  if (from?.Latitude === undefined || from.Longitude === undefined) return null
  if (to.Latitude === undefined || to.Longitude === undefined) return null
  const radians = (degrees: number) => (degrees * Math.PI) / 180
  const half = (angle: number) => Math.sin(angle / 2) ** 2
  const [a, b] = [radians(from.Latitude), radians(to.Latitude)]
  const h = half(b - a) + Math.cos(a) * Math.cos(b) * half(radians(to.Longitude - from.Longitude))
  return Math.round((2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)))) / 10) * 10
}
