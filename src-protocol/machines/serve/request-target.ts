/**
 * What a request asks for, and which handler that is. Strict, because this decides what the one behind the proxy gets to
 * see: a path that means one thing here and another there is refused. Pure. [docs/rules/serve.md SVE-4]
 */
import type { HttpHandler, WebServer } from '../../../src-contract/localapi/serve.ts'
import { bad, type Decoded, ok } from '../../wire/decoded.ts'

export interface RequestTarget {
  /** Between the slashes, decoded, but a slash in a name stays `%2F`. `/a/` has a last one that is empty. */
  readonly segments: readonly string[]
  /** The same as they came. */
  readonly rawSegments: readonly string[]
  /** With its question mark; "" when there is none. */
  readonly query: string
}

const MAX_TARGET = 16 << 10

export function parseRequestTarget(target: string): Decoded<RequestTarget> {
  if (!target.startsWith('/') || target.length > MAX_TARGET) return bad('not a path')
  if (/[^\x21-\x7e]|#/.test(target)) return bad('has characters that no address has')
  const at = target.indexOf('?')
  const path = at < 0 ? target : target.slice(0, at)
  const rawSegments = path.slice(1).split('/')
  const segments: string[] = []
  for (const raw of rawSegments) {
    const segment = decode(raw)
    if (segment === undefined) return bad('has a broken escape')
    // whoever is behind us might go up where we do not
    if (/^\.{1,2}(;.*)?$/.test(segment) || /(^|%2F|\\)\.\.(%2F|\\|$)/.test(segment)) return bad('goes above itself')
    segments.push(segment)
  }
  return ok({ segments, rawSegments, query: at < 0 ? '' : target.slice(at) })
}

function decode(raw: string): string | undefined {
  if (/%(?![0-9a-fA-F]{2})/.test(raw) || /%00/.test(raw)) return undefined
  try {
    return decodeURIComponent(raw.replace(/%2f/gi, '%252F'))
  } catch {
    return undefined // not UTF-8
  }
}

export interface Mounted {
  readonly mount: string
  readonly handler: HttpHandler
  /** What is asked for below the mount, as it came, from a slash on. */
  readonly rest: string
  /** Nothing below the mount is asked for, not even by a final slash. */
  readonly isExact: boolean
}

/** The longest mount that the path lies in; of two that differ by a final slash the one that was asked for, else the one with it. */
export function findMount(handlers: WebServer['Handlers'], target: RequestTarget): Mounted | undefined {
  const own = target.segments.filter((segment) => segment !== '') // `//` is one slash
  const exact = `/${target.segments.join('/')}`
  for (let count = own.length; count >= 0; count--) {
    const path = `/${own.slice(0, count).join('/')}`
    const names = count === own.length ? [exact] : []
    names.push(...(count === 0 ? ['/'] : [`${path}/`, path]))
    const mount = names.find((name) => Object.hasOwn(handlers, name))
    if (mount === undefined) continue
    const isExact = count === own.length && exact === path && count > 0
    return { mount, handler: handlers[mount]!, rest: restOf(target, count), isExact }
  }
  return undefined
}

function restOf({ rawSegments, segments }: RequestTarget, count: number): string {
  let at = 0
  for (let left = count; left > 0; at++) if (segments[at] !== '') left--
  return `/${rawSegments.slice(at).join('/').replace(/^\/+/, '')}`
}
