/** Latencies of exit nodes that have none yet: a few probes at a time, remembered for ten minutes. */
import { create } from 'zustand'
import { call } from '../../daemon/bridge.ts'

export type Measured =
  | { readonly kind: 'measuring' }
  | { readonly kind: 'ms'; readonly latencyMs: number; readonly atMs: number }
  | { readonly kind: 'silent'; readonly atMs: number }

const AT_ONCE = 8
const KEPT_MS = 600_000

interface MeasureStore {
  readonly byId: { readonly [id: string]: Measured }
}

export const useMeasured = create<MeasureStore>()(() => ({ byId: {} }))

const waiting: string[] = []
let running = 0

function set(id: string, measured: Measured): void {
  useMeasured.setState(({ byId }) => ({ byId: { ...byId, [id]: measured } }))
}

/** Those that are being measured, or were a short time ago, are left alone, unless `anew`. */
export function measure(ids: readonly string[], { anew }: { anew: boolean }): void {
  const { byId } = useMeasured.getState()
  for (const id of ids) {
    const known = byId[id]
    if (known?.kind === 'measuring') continue
    if (!anew && known !== undefined && Date.now() - known.atMs < KEPT_MS) continue
    set(id, { kind: 'measuring' })
    waiting.push(id)
  }
  while (running < AT_ONCE && waiting.length > 0) void probe(waiting.shift() ?? '')
}

async function probe(id: string): Promise<void> {
  running++
  try {
    const { latencyMs } = await call('device.ping', { id, type: 'disco' })
    set(id, { kind: 'ms', latencyMs, atMs: Date.now() })
  } catch {
    set(id, { kind: 'silent', atMs: Date.now() }) // said in the row; the device's own ping tells why
  } finally {
    running--
    const next = waiting.shift()
    if (next !== undefined) void probe(next)
  }
}
