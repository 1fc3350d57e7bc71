/** Where peers speak HTTP with this daemon: one listener for each of our addresses. Who may ask what: `engine/peerapi/`. */
import type { Readable } from 'node:stream'
import type { IpText } from '../../../src-contract/ids.ts'

export interface PeerApiRequest {
  readonly remoteAddress: IpText
  readonly localAddress: IpText
  readonly localPort: number
  readonly method: string
  /** As it came, without the query; not decoded. */
  readonly path: string
  readonly query: URLSearchParams
  /** By lower-case name; of several, all joined. */
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined }
  /** As it comes; nobody has bounded it yet. */
  readonly body: Readable
  /** The peer is gone. */
  readonly signal: AbortSignal
  /** A body that may take its time. */
  readonly allowSilence: (ms: number) => void
  /** Ends the connection. */
  readonly cut: () => void
}

export interface PeerApiReply {
  readonly status: number
  readonly contentType: string
  /** A stream is sent as it comes, of a length that is not announced. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
}

export interface PeerApiListenerOptions {
  readonly address: IpText
  /** Tried in this order; 0 = any. */
  readonly ports: readonly number[]
  /** Whether this address may speak at all; else the connection is closed without a word. */
  readonly admits: (remote: IpText) => boolean
  readonly handle: (request: PeerApiRequest) => Promise<PeerApiReply>
}

export interface PeerApiListener {
  readonly port: number
  close(): Promise<void>
}

/** Fails when the address cannot be had (yet). */
export type OpenPeerApiListener = (options: PeerApiListenerOptions) => Promise<PeerApiListener>
