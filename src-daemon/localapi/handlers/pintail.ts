/** What only this daemon offers. Clients look at `features` first. */
import type { PintailFeatures } from '../../../src-contract/localapi/pintail.ts'
import type { Backend } from '../../engine/backend.ts'
import { json, plainError, type Reply } from '../reply.ts'
import type { RouteTable } from '../request.ts'

/** `docs/rules/localapi.md` lists what each step added. */
const EXTENSION = 8

export function pintailRoutes(backend: Backend): RouteTable {
  const features: PintailFeatures = {
    version: backend.version,
    extension: EXTENSION,
    features: ['paths', 'netcheck', 'datapath', 'dns', 'routes', 'bypass', 'changes', 'route-explain', 'transfers'],
  }
  return {
    'pintail/features': { GET: { needs: 'nothing', handle: () => json(features) } },
    'pintail/netcheck': { POST: { needs: 'read', handle: () => netcheck(backend) } },
    'pintail/datapath': { GET: { needs: 'read', handle: () => datapath(backend) } },
    'pintail/paths': { GET: { needs: 'read', handle: () => json(backend.pathReports()) } },
  }
}

function datapath(backend: Backend): Reply {
  const report = backend.datapathReport()
  return report === undefined ? plainError(503, 'no data path') : json(report)
}

async function netcheck(backend: Backend): Promise<Reply> {
  const report = await backend.plane.netcheck()
  return report === undefined ? plainError(503, 'no relay map to measure with') : json(report)
}
