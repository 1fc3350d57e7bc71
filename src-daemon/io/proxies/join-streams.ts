/** Two streams as one connection: bytes both ways, each direction ends by itself, and when one breaks the other does. */
import { type Duplex, pipeline } from 'node:stream'

/** Nobody said anything in either direction. */
const IDLE_MS = 2 * 60 * 60_000

/** `first`: bytes of `near` that were read already. */
export function joinStreams(near: Duplex, far: Duplex, first?: Uint8Array): void {
  if (first !== undefined && first.length > 0) near.unshift(first)
  const idle = setTimeout(() => near.destroy(), IDLE_MS).unref()
  const touch = (): void => void idle.refresh()
  near.on('data', touch)
  far.on('data', touch)
  let open = 2
  const done = (): void => {
    if (--open > 0) return
    clearTimeout(idle)
    near.destroy()
  }
  pipeline(near, far, done)
  pipeline(far, near, done)
}
