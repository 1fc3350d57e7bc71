// How a script's end reaches what it has started, whatever ends it: a signal that somebody forwards is a courtesy, SIGKILL and
// `npm` (which ends without a word to its grandchildren) are not. Plain Node 20, no dependencies.
//
// Downwards: children get the reading end of a pipe as descriptor 4, whose other end only we hold; it closes when we are gone.
// Upwards: a script whose parent has gone is adopted by another process, and notices.
import { fstatSync, readFileSync } from 'node:fs'
import { Socket } from 'node:net'

const DESCRIPTOR = 4
const LOOK_MS = 300

/** Standard streams for spawn(), with the lifeline behind them; `third` is descriptor 3. */
export function withLifeline(streams, third = 'ignore') {
  return [...streams, third, 'pipe']
}

export const lifelineEnvironment = { PINTAIL_LIFELINE: String(DESCRIPTOR) }

/** Calls `end` once when whoever started us has gone. */
export function whenStarterIsGone(end) {
  const isOurs = process.env.PINTAIL_LIFELINE === String(DESCRIPTOR) && isPipe(DESCRIPTOR)
  delete process.env.PINTAIL_LIFELINE // what we start gets one of its own
  if (!isOurs) return
  const line = new Socket({ fd: DESCRIPTOR, readable: true, writable: false })
  line.once('close', end)
  line.on('error', () => {}) // it closes then, which is what we wait for
  line.resume()
  line.unref()
}

/** The variable may have come down further than the descriptor. */
function isPipe(descriptor) {
  try {
    const stats = fstatSync(descriptor)
    return stats.isSocket() || stats.isFIFO()
  } catch (error) {
    if (error.code === 'EBADF') return false
    throw error
  }
}

/**
 * Calls `end` once when our parent, or its parent, is another one than at the start: npm runs a script through a shell, which
 * stays when npm is killed.
 */
export function whenOrphaned(end) {
  const before = ancestors()
  const timer = setInterval(() => {
    if (ancestors() === before) return
    clearInterval(timer)
    end()
  }, LOOK_MS)
  timer.unref()
}

function ancestors() {
  try {
    const grandparent = /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${process.ppid}/stat`, 'utf8'))?.[1]
    return `${process.ppid} ${grandparent}`
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error
    return String(process.ppid) // no /proc here, or the parent has just gone
  }
}
