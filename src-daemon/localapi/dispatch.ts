/**
 * From a path to its route: the whole path first, else its first component with a slash. Pure.
 * A route without a declared need does not type-check; that is the point of the table.
 */
import type { Route, RouteTable } from './request.ts'

export const API_ROOT = '/localapi/v0/'

export type Match =
  | { readonly kind: 'route'; readonly route: Route; readonly path: string; readonly rest: string }
  | { readonly kind: 'wrong-method'; readonly allowed: readonly string[] }
  | { readonly kind: 'unknown' }

export function findRoute(table: RouteTable, method: string, pathname: string): Match {
  if (!pathname.startsWith(API_ROOT)) return { kind: 'unknown' }
  const below = pathname.slice(API_ROOT.length)
  const path = findPath(table, below)
  if (path === undefined) return { kind: 'unknown' }
  const methods = table[path] ?? {}
  // HEAD is answered by GET; the server leaves the body out.
  const wanted = method === 'HEAD' && !Object.hasOwn(methods, 'HEAD') ? 'GET' : method
  const route = Object.hasOwn(methods, wanted) ? methods[wanted] : undefined
  if (route === undefined) return { kind: 'wrong-method', allowed: Object.keys(methods) }
  return { kind: 'route', route, path, rest: below.slice(path.length) }
}

function findPath(table: RouteTable, below: string): string | undefined {
  if (Object.hasOwn(table, below)) return below
  const slash = below.indexOf('/')
  if (slash < 0) return undefined
  const prefix = below.slice(0, slash + 1)
  return Object.hasOwn(table, prefix) ? prefix : undefined
}
