/** What one packet costs each AEAD of the data path, sealing and opening, on one core: no network, no stock daemon. */
import type { Sheet } from '../lab/measure-line.ts'
import { requireAddon } from '../src-native/addon.ts'

const BACKENDS = ['ipsec-mb', 'openssl', 'openssl-evp'] as const
/** An acknowledgement, a full packet at our MTU, the largest at Ethernet's. */
const SIZES = [64, 1280, 1420] as const
const PACKETS = 1_000

/** The best of many short turns: whatever else runs on the machine only adds. */
export async function benchAead({ sheet, rounds }: { readonly sheet: Sheet; readonly rounds: number }): Promise<void> {
  const { dataPath } = requireAddon('this bench')
  const best = new Map<string, number>()
  for (let turn = 0; turn < rounds * 100; turn++) {
    for (const size of SIZES) {
      for (const name of BACKENDS) {
        if (!dataPath.hasBackend(name)) continue
        for (const opens of [0, 1] as const) {
          const about = `${opens === 1 ? 'open' : 'seal'} ${size} bytes, ${name}`
          const ns = dataPath.aeadTime(name, opens, size, PACKETS)
          best.set(about, Math.min(ns, best.get(about) ?? Number.POSITIVE_INFINITY))
        }
      }
    }
  }
  for (const [about, ours] of best) sheet.add({ case: about, ours, stock: null, unit: 'ns', must: null })
  const problem = dataPath.aeadProblem()
  if (problem !== undefined) console.error(`no ipsec-mb: ${problem}`)
}
