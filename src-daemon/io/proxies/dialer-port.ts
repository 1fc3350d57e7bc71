/** Who makes connections for the proxies: by name or address, into the network or beside it. */
import type { Duplex } from 'node:stream'

export interface DialFailure {
  readonly kind: 'failed'
  readonly reason: 'unknown-name' | 'refused' | 'timeout' | 'unreachable' | 'busy'
  /** For a person. */
  readonly message: string
}

export type DialResult = { readonly kind: 'connected'; readonly stream: Duplex } | DialFailure

export interface Dialer {
  /** The stream is the caller's to end; aborting the signal gives up an attempt, not a connection. */
  dial(host: string, port: number, signal: AbortSignal): Promise<DialResult>
}
