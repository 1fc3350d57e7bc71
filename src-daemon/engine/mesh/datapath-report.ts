/** What `pintail debug datapath` shows, from what the data path counts. */
import type { DatapathReport } from '../../../src-contract/localapi/pintail.ts'
import type { DataPath } from '../../../src-native/door.ts'
import { TUNNEL_MTU_BYTES } from '../routing/desired.ts'

export function datapathReport(door: DataPath, socketProblem: string | undefined): DatapathReport {
  const { backend, aead, whyNotFasterAead, tunOffload, drops, faults, peers } = door.stats()
  const total = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0 }
  for (const counters of peers.values()) {
    total.rxBytes += counters.rxBytes
    total.txBytes += counters.txBytes
    total.rxPackets += counters.rxPackets
    total.txPackets += counters.txPackets
  }
  return {
    backend,
    whyNotNative: door.whyNotNative ?? '',
    aead,
    whyNotFasterAead: whyNotFasterAead ?? '',
    interfaceName: door.tunName ?? '',
    tunOffload: tunOffload ?? '',
    mtuBytes: TUNNEL_MTU_BYTES,
    udpPorts: { v4: door.udpPorts.v4, v6: door.udpPorts.v6 ?? null },
    socketProblem: socketProblem ?? '',
    peers: peers.size,
    ...total,
    drops: { ...drops },
    faults: { ...faults },
  }
}
