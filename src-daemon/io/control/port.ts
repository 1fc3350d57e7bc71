/**
 * Requests to a coordination server, as the engine sees them. `http2.ts` provides it over ts2021.
 */
import type { Readable } from 'node:stream'

export interface ControlRequest {
  readonly method: 'GET' | 'POST' | 'HEAD'
  readonly path: string
  /** Sent as it is. */
  readonly body?: string | Uint8Array
  readonly signal: AbortSignal
}

export interface ControlResponse {
  readonly status: number
  readonly retryAfterMs: number | undefined
  /** To be read or destroyed. */
  readonly body: Readable
  /** The body as text, cut at `maxBytes`. */
  text(maxBytes: number): Promise<string>
}

export interface ControlTransport {
  /** Connects when needed. Throws {@link ControlError}, or the signal's reason. */
  request(request: ControlRequest): Promise<ControlResponse>
  /** Drops the connection: what is under way fails, the next request dials. */
  reset(): void
  close(): void
}

export type ControlErrorKind =
  | 'refused'
  | 'unreachable'
  | 'not-a-control-server'
  | 'tls'
  | 'unsupported-version'
  | 'other'

/** Why the server could not be talked to; the message is for a person. */
export class ControlError extends Error {
  readonly kind: ControlErrorKind
  constructor(kind: ControlErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'ControlError'
    this.kind = kind
  }
}

/** The code of a Node error, "" when it has none. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

const TLS_CODES =
  /^(CERT_|ERR_TLS_|ERR_SSL_|EPROTO$|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|CRL_)/

/** What a failed connection attempt means. */
export function connectionError(host: string, error: unknown): ControlError {
  if (error instanceof ControlError) return error
  const code = codeOf(error)
  const detail = code === '' ? String(error instanceof Error ? error.message : error) : code
  if (TLS_CODES.test(code)) {
    return new ControlError('tls', `no trusted TLS connection to ${host}: ${detail}`, error)
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return new ControlError('unreachable', `the name ${host} cannot be resolved (${code})`, error)
  }
  if (code.startsWith('HPE_')) {
    return new ControlError('not-a-control-server', `${host} does not speak HTTP here`, error)
  }
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new ControlError('unreachable', `${host} did not answer in time`, error)
  }
  return new ControlError('unreachable', `${host} cannot be reached (${detail})`, error)
}
