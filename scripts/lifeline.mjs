// How a script's end reaches what it has started, whatever ends it: a signal that somebody forwards is a courtesy, SIGKILL and
// `npm` (which ends without a word to its grandchildren) are not. Plain Node 20, no dependencies.
//
// Downwards: children get the reading end of a pipe as descriptor 4, whose other end only we hold; it closes when we are gone.
// Upwards: a script whose parent has gone is adopted by another process, and notices.
import { fstatSync } from 'node:fs'
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

/** Calls `end` once when our parent is not our parent any more. */
export function whenOrphaned(end) {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    end()
  }, LOOK_MS)
  timer.unref()
}
