/** The `Engine` slice of the watch: totals and live peers. Pure but for reading counters. */
import type { EngineStatus } from '../../src-contract/localapi/notify.ts'
import type { Netmap } from '../../src-protocol/machines/netmap.ts'
import { timeText } from './node-text.ts'
import type { DataPlane } from './plane-port.ts'

export function buildEngineStatus(netmap: Netmap | undefined, plane: DataPlane): EngineStatus {
  const engine: EngineStatus = { RBytes: 0, WBytes: 0, NumLive: 0, LiveDERPs: plane.liveRelays, LivePeers: {} }
  for (const node of netmap?.peers.values() ?? []) {
    const runtime = plane.runtimeOf(node)
    engine.RBytes += runtime.rxBytes
    engine.WBytes += runtime.txBytes
    if (runtime.session !== 'established') continue
    engine.NumLive++
    engine.LivePeers[node.Key] = {
      NodeKey: node.Key,
      TxBytes: runtime.txBytes,
      RxBytes: runtime.rxBytes,
      LastHandshake: timeText(runtime.lastHandshakeMs),
    }
  }
  return engine
}
