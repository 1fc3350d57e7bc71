/**
 * Small answers that clients ask for on the way: what is not there yet says so in the form they expect.
 * [docs/rules/localapi.md LA-8]
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Advice, Backend } from '../../engine/backend.ts'
import { buildEngineStatus } from '../../engine/engine-status.ts'
import { legacyNetMap } from '../../engine/legacy-netmap.ts'
import { json, plainError, type Reply, text } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'

/** No Serve configuration: Go's `null`, with its hash as tag. */
const NO_CONFIG_ETAG = createHash('sha256').update('null').digest('hex')

export function hostRoutes(backend: Backend): RouteTable {
  return {
    'serve-config': { GET: { needs: 'read', handle: () => json(null, { Etag: NO_CONFIG_ETAG }) } },
    'check-ip-forwarding': { GET: { needs: 'read', handle: async () => warning(await backend.checkForwarding()) } },
    'check-udp-gro-forwarding': {
      GET: { needs: 'read', handle: async () => warning(await backend.checkUdpOffload()) },
    },
    'check-so-mark-in-use': { GET: { needs: 'read', handle: () => json({ UseSOMark: true }) } },
    services: { GET: { needs: 'nothing', handle: () => json({}) } },
    'upload-client-metrics': { POST: { needs: 'nothing', handle: () => json({}) } },
    'update/check': { GET: { needs: 'nothing', handle: () => json({ RunningLatest: true }) } },
    'tka/status': { GET: { needs: 'read', handle: () => json(tailnetLockOff) } },
    usermetrics: { GET: { needs: 'nothing', handle: () => text(userMetrics(backend)) } },
    bugreport: { POST: { needs: 'read', handle: ({ query }) => bugReport(backend, query.get('note') ?? '') } },
    debug: { POST: { needs: 'write', handle: (request) => debug(backend, request) } },
  }
}

/** Clients print it as it is. */
function warning(advice: Advice | undefined): Reply {
  return json({ Warning: advice === undefined ? '' : [advice.text, ...advice.fix].join('\n') })
}

const tailnetLockOff = {
  Enabled: false,
  Head: null,
  PublicKey: `nlpub:${'0'.repeat(64)}`,
  NodeKey: null,
  NodeKeySigned: false,
  NodeKeySignature: null,
  TrustedKeys: null,
  VisiblePeers: null,
  FilteredPeers: null,
  StateID: 0,
}

/** Nothing is uploaded: the marker is written to the log, where a person can find the place. */
function bugReport(backend: Backend, note: string): Reply {
  const at = new Date().toISOString().replace(/[-:T]|\.\d+/g, '')
  const marker = `BUG-${backend.logId}-${at}-${randomBytes(8).toString('hex')}`
  backend.logMarker(marker, note.slice(0, 500))
  return text(marker)
}

function debug(backend: Backend, request: ApiRequest): Reply {
  const action = request.query.get('action') ?? ''
  switch (action) {
    case 'current-netmap':
      return backend.netmap === undefined ? plainError(503, 'no netmap') : json(legacyNetMap(backend.netmap))
    case 'restun':
      backend.plane.restun()
      return text('done')
    case 'rebind':
      backend.networkChanged(true)
      return text('done')
    default:
      return plainError(400, `unknown action ${JSON.stringify(action.slice(0, 100))}`)
  }
}

function userMetrics(backend: Backend): string {
  const engine = buildEngineStatus(backend.netmap, backend.plane)
  const warnings = Object.keys(backend.health.warnings() ?? {}).length
  const lines = [
    '# TYPE tailscaled_health_messages gauge',
    '# HELP tailscaled_health_messages Number of health messages broken down by type.',
    `tailscaled_health_messages{type="warning"} ${warnings}`,
    '# TYPE tailscaled_inbound_bytes_total counter',
    '# HELP tailscaled_inbound_bytes_total Counts the number of bytes received from other peers',
    `tailscaled_inbound_bytes_total ${engine.RBytes}`,
    '# TYPE tailscaled_outbound_bytes_total counter',
    '# HELP tailscaled_outbound_bytes_total Counts the number of bytes sent to other peers',
    `tailscaled_outbound_bytes_total ${engine.WBytes}`,
    '# TYPE tailscaled_home_derp_region_id gauge',
    "# HELP tailscaled_home_derp_region_id DERP region ID of node's home relay server.",
    `tailscaled_home_derp_region_id ${backend.plane.homeRegion}`,
  ]
  return `${lines.join('\n')}\n`
}
