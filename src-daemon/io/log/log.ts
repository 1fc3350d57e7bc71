/**
 * The daemon's own log: one JSON object per line. Not a place for secrets: values of class `Secret` print as
 * "[secret]", and text that looks like a private or auth key is masked as a second net.
 */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = { readonly [name: string]: unknown }

export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** The same log with a part's name in front. */
  part(name: string): Log
}

const ORDER: { readonly [L in LogLevel]: number } = { debug: 0, info: 1, warn: 2, error: 3 }
export const logLevels = Object.keys(ORDER) as LogLevel[]

export interface LogOptions {
  readonly level: LogLevel
  readonly write: (line: string) => void
  readonly wallClockMs: () => number
}

export function createLog(options: LogOptions, part = 'daemon'): Log {
  const put = (level: LogLevel, event: string, fields: LogFields | undefined): void => {
    if (ORDER[level] < ORDER[options.level]) return
    const line = { time: new Date(options.wallClockMs()).toISOString(), level, part, event, ...fields }
    options.write(`${maskSecrets(JSON.stringify(line, plainValue))}\n`)
  }
  return {
    debug: (event, fields) => put('debug', event, fields),
    info: (event, fields) => put('info', event, fields),
    warn: (event, fields) => put('warn', event, fields),
    error: (event, fields) => put('error', event, fields),
    part: (name) => createLog(options, name),
  }
}

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  part: () => silentLog,
}

/** What an error says, with its causes; never the stack, which names folders of the build. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${errorText(error.cause)}`
}

export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

const SECRET = /\b(?:(privkey|nlpriv):[0-9a-f]{8,}|(tskey|hskey|ptkey)-[A-Za-z0-9_-]+)/g

export function maskSecrets(text: string): string {
  return text.replace(SECRET, (_all, colonKind: string | undefined, dashKind: string | undefined) =>
    colonKind === undefined ? `${dashKind}-[secret]` : `${colonKind}:[secret]`,
  )
}

function plainValue(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Error) return errorText(value)
  if (value instanceof Uint8Array) return `[${value.length} bytes]`
  return value
}
