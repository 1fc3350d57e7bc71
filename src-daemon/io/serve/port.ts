/** Served ports: what the world needs of them. What is served is decided in `machines/serve` and `engine/serve`. */
import type { SecureContext } from 'node:tls'
import type { IpText } from '../../../src-contract/ids.ts'
import type { WebAnswer } from '../../../src-protocol/machines/serve/answer.ts'
import type { Bytes } from '../../../src-protocol/wire/bytes.ts'
import type { ForwardTarget } from './forward.ts'

/** What is known of a request before anything is decided. */
export interface WebFacts {
  readonly remote: IpText
  readonly port: number
  readonly host: string
  readonly sni: string | undefined
  readonly target: string
}

export interface StreamEnds {
  readonly remote: { readonly address: IpText; readonly port: number }
  readonly local: IpText
}

export interface StreamPlan {
  readonly to: ForwardTarget
  /** Goes first. */
  readonly header: Bytes | undefined
}

export type ServedPort =
  | { readonly kind: 'web'; readonly tls: SecureNames | undefined; readonly answer: (facts: WebFacts) => WebAnswer }
  | {
      readonly kind: 'stream'
      readonly tls: SecureNames | undefined
      /** Asked anew for each connection: the config may have changed. */
      readonly plan: (ends: StreamEnds) => StreamPlan | undefined
    }

/** The certificate for a name, or why there is none. */
export type SecureNames = (name: string) => Promise<SecureContext>

export interface ServeListener {
  close(): Promise<void>
}

/** Fails when the address or the port cannot be had (yet). */
export type OpenServedPort = (address: IpText, port: number, served: ServedPort) => Promise<ServeListener>
