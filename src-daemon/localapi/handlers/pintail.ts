/** What only this daemon offers. Clients look at `features` first. */
import type { PintailFeatures } from '../../../src-contract/localapi/pintail.ts'
import type { Backend } from '../../engine/backend.ts'
import { json } from '../reply.ts'
import type { RouteTable } from '../request.ts'

/** `docs/rules/localapi.md` lists what each step added. */
const EXTENSION = 1

export function pintailRoutes(backend: Backend): RouteTable {
  const features: PintailFeatures = { version: backend.version, extension: EXTENSION, features: ['paths'] }
  return {
    'pintail/features': { GET: { needs: 'nothing', handle: () => json(features) } },
    'pintail/paths': { GET: { needs: 'read', handle: () => json(backend.pathReports()) } },
  }
}
