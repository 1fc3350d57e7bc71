/** What a handler is given. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { PeerCredentials } from '../io/users/port.ts'
import type { Reply } from './reply.ts'
import type { Need, Rights } from './rights.ts'

export interface ApiRequest {
  readonly method: string
  /** What follows the route's path, for prefix routes: still percent-encoded. */
  readonly rest: string
  /** Query, and the members of a form body. */
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly caller: PeerCredentials | undefined
  readonly rights: Rights
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal
  /** The body as text, empty when there is none. */
  readonly body: string
  /** The same as it comes, for routes with `streamsBody`; nobody has bounded it. */
  readonly incoming: Readable
}

export interface Route {
  readonly needs: Need
  readonly streamsBody?: true
  readonly handle: (request: ApiRequest) => Reply | Promise<Reply>
}

/** Path below `/localapi/v0/` (a trailing slash makes it a prefix) → method → route. */
export type RouteTable = { readonly [path: string]: { readonly [method: string]: Route } }
