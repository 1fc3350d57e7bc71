/**
 * What can go wrong between a client and the daemon. Branch on `code`; `message` is for people.
 * The daemon has three ways of writing an error body; {@link errorText} reads them all.
 */
export type LocalApiErrorCode =
  | 'daemon-unreachable'
  | 'access-denied'
  | 'precondition-failed'
  | 'not-found'
  | 'bad-request'
  | 'timeout'
  | 'bad-reply'
  | 'failed'

export class LocalApiError extends Error {
  override readonly name = 'LocalApiError'
  readonly code: LocalApiErrorCode
  /** HTTP status, 0 when there was no answer. */
  readonly status: number

  constructor(code: LocalApiErrorCode, message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.status = options.status ?? 0
  }
}

export function isLocalApiError(error: unknown, code?: LocalApiErrorCode): error is LocalApiError {
  return error instanceof LocalApiError && (code === undefined || error.code === code)
}

/** The reason in a body: `{"error":…}`, `{"Error":…}` or a line of text. */
export function errorText(body: string): string {
  const text = body.trim()
  if (text.startsWith('{')) {
    try {
      const entries = Object.entries(JSON.parse(text) as Record<string, unknown>)
      const found = entries.find(([key, value]) => key.toLowerCase() === 'error' && typeof value === 'string')
      if (found !== undefined && found[1] !== '') return String(found[1])
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error // not JSON after all: the text itself is the reason
    }
  }
  return text
}

export function errorOfStatus(status: number, statusText: string, body: string): LocalApiError {
  const reason = errorText(body).slice(0, 4096)
  const code = codeOfStatus(status)
  return new LocalApiError(code, reason === '' ? `${status} ${statusText}`.trim() : reason, { status })
}

function codeOfStatus(status: number): LocalApiErrorCode {
  switch (status) {
    case 400:
    case 405:
      return 'bad-request'
    case 401:
    case 403:
      return 'access-denied'
    case 404:
      return 'not-found'
    case 412:
      return 'precondition-failed'
    default:
      return 'failed'
  }
}

/** A socket that cannot be opened or that broke. */
export function errorOfSocket(error: unknown, socketPath: string): LocalApiError {
  const errno = (error as { code?: string }).code ?? ''
  if (errno === 'EACCES' || errno === 'EPERM')
    return new LocalApiError('access-denied', `no permission to open ${socketPath}`, { cause: error })
  if (errno === 'ENOENT' || errno === 'ECONNREFUSED')
    return new LocalApiError('daemon-unreachable', `no daemon answers on ${socketPath}`, { cause: error })
  return new LocalApiError('daemon-unreachable', `the connection to ${socketPath} broke`, { cause: error })
}
