/** What the data plane knows of one peer right now; the netmap knows the rest. */
import type { IpPort } from '../../src-contract/ids.ts'

export interface PeerRuntime {
  readonly rxBytes: number
  readonly txBytes: number
  /** Wall clock; 0 = never. */
  readonly lastWriteMs: number
  readonly lastHandshakeMs: number
  readonly session: 'none' | 'handshake' | 'established' | 'expired'
  /** Direct path in use. */
  readonly directEndpoint: IpPort | ''
  /** Region in use for this peer, 0 = none. */
  readonly relayRegion: number
}

export const noRuntime: PeerRuntime = {
  rxBytes: 0,
  txBytes: 0,
  lastWriteMs: 0,
  lastHandshakeMs: 0,
  session: 'none',
  directEndpoint: '',
  relayRegion: 0,
}

/** Status calls a peer active when we sent it something this recently. */
const ACTIVE_MS = 120_000

export function isActive(runtime: PeerRuntime, wallMs: number): boolean {
  return runtime.lastWriteMs !== 0 && wallMs - runtime.lastWriteMs < ACTIVE_MS
}
