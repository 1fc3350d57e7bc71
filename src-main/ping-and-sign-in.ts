/** Two small judgements on what the daemon says: how a ping came back, and whether its sign-in page may be opened. */
import type { AppProblem } from '../src-contract/app/app-state.ts'
import type { PingAnswer } from '../src-contract/bridge.ts'
import type { PingResult } from '../src-contract/localapi/ping.ts'

export function pingAnswer(result: PingResult): PingAnswer {
  const latencyMs = result.LatencySeconds * 1000
  const via = (kind: PingAnswer['via']['kind'], endpoint = '', relay = '') => ({
    latencyMs,
    via: { kind, endpoint, relay },
  })
  if (result.IsLocalIP === true) return via('here')
  if (result.PeerRelay) return via('peer-relay', result.PeerRelay)
  if (result.DERPRegionID > 0) return via('relay', '', result.DERPRegionCode)
  return result.Endpoint ? via('direct', result.Endpoint) : via('unknown')
}

/** Whether a daemon's sign-in page may be opened: the web, in clear only when the server itself is. */
export function mayOpenSignIn(url: string, controlUrl: string): AppProblem | undefined {
  const problem: AppProblem = { code: 'not-allowed', message: url }
  if (!URL.canParse(url)) return problem
  const { protocol } = new URL(url)
  if (protocol === 'https:') return undefined
  return protocol === 'http:' && controlUrl.startsWith('http:') ? undefined : problem
}
