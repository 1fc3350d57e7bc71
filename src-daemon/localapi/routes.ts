/** Every call of the LocalAPI. Two handlers for one path are a mistake that the test of this file finds. */
import type { Backend } from '../engine/backend.ts'
import { bypassRoutes } from './handlers/bypass.ts'
import { certificateRoutes } from './handlers/certificates.ts'
import { changeRoutes } from './handlers/changes.ts'
import { dnsRoutes } from './handlers/dns.ts'
import { fileRoutes } from './handlers/files.ts'
import { hostRoutes } from './handlers/host.ts'
import { loginRoutes } from './handlers/login.ts'
import { networkRoutes } from './handlers/network.ts'
import { pintailRoutes } from './handlers/pintail.ts'
import { prefsRoutes } from './handlers/prefs.ts'
import { routeExplainRoutes } from './handlers/route-explain.ts'
import { serveRoutes } from './handlers/serve.ts'
import { statusRoutes } from './handlers/status.ts'
import { subnetRouteRoutes } from './handlers/subnet-routes.ts'
import { transferRoutes } from './handlers/transfers.ts'
import { watchRoutes } from './handlers/watch.ts'
import type { RouteTable } from './request.ts'

export function localApiRoutes(backend: Backend): RouteTable {
  return {
    ...statusRoutes(backend),
    ...prefsRoutes(backend),
    ...loginRoutes(backend),
    ...watchRoutes(backend),
    ...networkRoutes(backend),
    ...dnsRoutes(backend),
    ...hostRoutes(backend),
    ...fileRoutes(backend),
    ...transferRoutes(backend),
    ...bypassRoutes(backend),
    ...serveRoutes(backend),
    ...certificateRoutes(backend),
    ...changeRoutes(backend),
    ...subnetRouteRoutes(backend),
    ...routeExplainRoutes(backend),
    ...pintailRoutes(backend),
  }
}
