/** One ping of one peer, until its answer, or until nobody waits for it any more. */
import type { DerpMap, Node } from '../../../src-contract/control/map.ts'
import type { PingResult } from '../../../src-contract/localapi/ping.ts'
import { emptyPingResult } from '../ping-target.ts'
import type { PingOptions } from '../plane-port.ts'
import { regionCode } from '../status-builder.ts'
import type { DiscoPong, MeshSession } from './mesh-session.ts'

export function pingPeer(
  session: MeshSession | undefined,
  derpMap: DerpMap | undefined,
  target: Node,
  options: PingOptions,
): Promise<PingResult> {
  const base = emptyPingResult(options.address, target)
  const fail = (message: string): PingResult => ({ ...base, Err: message })
  if (session === undefined) return Promise.resolve(fail('local tailscaled stopped'))
  return new Promise((resolve) => {
    if (options.signal.aborted) {
      resolve(fail('ping was given up'))
      return
    }
    const onAbort = (): void => {
      session.forgetPing(answerDisco)
      resolve(fail('ping was given up'))
    }
    const settle = (result: PingResult): void => {
      options.signal.removeEventListener('abort', onAbort)
      resolve(result)
    }
    const answerDisco = (pong: DiscoPong): void =>
      settle({
        ...base,
        LatencySeconds: pong.latencyMs / 1000,
        Endpoint: pong.endpoint ?? '',
        DERPRegionID: pong.derpRegion,
        DERPRegionCode: regionCode(derpMap, pong.derpRegion),
      })
    options.signal.addEventListener('abort', onAbort, { once: true })
    let isKnown: boolean
    switch (options.type) {
      case 'disco':
        isKnown = session.pingDisco(target, options.sizeBytes, answerDisco)
        break
      case 'TSMP':
      case 'ICMP':
        isKnown = session.pingTunnel(target, options.type, options.address, ({ latencyMs, peerApiPort }) =>
          settle({
            ...base,
            LatencySeconds: latencyMs / 1000,
            ...(peerApiPort === 0 ? {} : { PeerAPIPort: peerApiPort }),
          }),
        )
        break
      case 'peerapi':
        settle(fail('no peerAPI ping in this version'))
        return
    }
    if (!isKnown) settle(fail('unknown peer'))
  })
}
