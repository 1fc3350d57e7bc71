/** One line per event on standard error. Never given keys, sign-in pages or names of devices. */
export type LogLevel = 'info' | 'warn' | 'error'

export function log(level: LogLevel, message: string, error?: unknown): void {
  const reason =
    error === undefined ? '' : `: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
  process.stderr.write(`pintail-app ${level} ${message}${reason}\n`)
}
