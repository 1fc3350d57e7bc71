/**
 * TAI64N as WireGuard sends it: u64 big-endian seconds since 1970 TAI (label 2^62 + 10), u32 big-endian nanoseconds with
 * the low 24 bits cleared, so that a timestamp does not tell the clock's state beyond 16.8 ms.         [WireGuard §5.1]
 */
import { viewOf } from '../../wire/bytes.ts'
import { TIMESTAMP_BYTES } from '../../wire/wireguard.ts'

const LABEL_HIGH = 0x40000000
const LABEL_LOW = 0x0a
const TICK_NS = 2 ** 24

/**
 * A timestamp for now, but always after `previous`: responders refuse what does not advance, and a clock that was set
 * back must not lock us out. Each peer gets its own sequence, so that stamping thousands does not run ahead of the clock.
 */
export function createTimestamp(wallClockMs: number, previous: Uint8Array | undefined): Uint8Array {
  const ms = Math.max(0, wallClockMs)
  const seconds = Math.floor(ms / 1000)
  const nanos = Math.floor((ms - seconds * 1000) * 1e6)
  const stamp = encode(seconds, nanos - (nanos % TICK_NS))
  return previous === undefined || isAfter(stamp, previous) ? stamp : nextTick(previous)
}

/** Later in time is later in the alphabet. */
export function isAfter(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < TIMESTAMP_BYTES; i++) if (a[i] !== b[i]) return a[i]! > b[i]!
  return false
}

function encode(unixSeconds: number, nanos: number): Uint8Array {
  const stamp = new Uint8Array(TIMESTAMP_BYTES)
  const view = viewOf(stamp)
  const low = (unixSeconds % 2 ** 32) + LABEL_LOW
  view.setUint32(0, LABEL_HIGH + Math.floor(unixSeconds / 2 ** 32) + (low >= 2 ** 32 ? 1 : 0))
  view.setUint32(4, low)
  view.setUint32(8, nanos)
  return stamp
}

function nextTick(stamp: Uint8Array): Uint8Array {
  const next = stamp.slice()
  const view = viewOf(next)
  const nanos = view.getUint32(8) + TICK_NS
  if (nanos < 1e9) {
    view.setUint32(8, nanos)
  } else {
    view.setBigUint64(0, view.getBigUint64(0) + 1n)
    view.setUint32(8, 0)
  }
  return next
}
