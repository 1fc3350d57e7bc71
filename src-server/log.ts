/** Structured log lines on standard error. Callers pass ids and short reasons; keys of people and clients never come here. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type Log = (level: LogLevel, event: string, detail?: { readonly [name: string]: unknown }) => void

const order: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

export function createLog(o: { level: LogLevel; format: 'text' | 'json'; write?: (line: string) => void }): Log {
  const write = o.write ?? ((line) => void process.stderr.write(line))
  return (level, event, detail = {}) => {
    if (order.indexOf(level) < order.indexOf(o.level)) return
    const time = new Date().toISOString()
    if (o.format === 'json') {
      write(`${JSON.stringify({ time, level, event, ...detail })}\n`)
      return
    }
    const words = Object.entries(detail).map(([name, value]) => ` ${name}=${wordOf(value)}`)
    write(`${time} ${level.padEnd(5)} ${event}${words.join('')}\n`)
  }
}

/** Foreign text stays on its line and inside its quotes. */
function wordOf(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[\w.:/+@[\]-]+$/.test(text) ? text : JSON.stringify(text)
}
