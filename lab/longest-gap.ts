/** Pings a hundred times a second and tells the longest time without an answer. */
import { execute, type Host } from './host.ts'

const INTERVAL_SECONDS = 0.01

export interface Gap {
  readonly answered: number
  readonly longestMs: number
}

/** Runs `disturb` after two seconds; ends when `seconds` are over. */
export async function longestGap(
  from: Host,
  address: string,
  seconds: number,
  disturb: () => Promise<unknown>,
): Promise<Gap> {
  const count = String(Math.round(seconds / INTERVAL_SECONDS))
  const words = ['-D', '-n', '-i', String(INTERVAL_SECONDS), '-c', count, '-W', '1', '-w', String(seconds), address]
  const ping = execute('ip', ['netns', 'exec', from.name, 'ping', ...words], { timeoutMs: (seconds + 10) * 1000 })
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  await disturb()
  const { stdout } = await ping
  const times = [...stdout.matchAll(/^\[([\d.]+)\] .* time=/gm)].map((match) => Number(match[1]) * 1000)
  const gaps = times.slice(1).map((at, i) => at - times[i]!)
  return { answered: times.length, longestMs: Math.round(Math.max(0, ...gaps)) }
}
