/** Subnets of others, one by one. [docs/rules/routing.md RTE-6] */
import type { Backend } from '../../engine/backend.ts'
import { RefusedError } from '../../engine/core.ts'
import { parseRoutesEdit } from '../../engine/routing/subnet-routes.ts'
import { json, plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'
import { jsonBody } from './json-body.ts'

export function subnetRouteRoutes(backend: Backend): RouteTable {
  return {
    'pintail/routes': {
      GET: { needs: 'read', handle: () => json(backend.subnetRoutes()) },
      PATCH: { needs: 'write', handle: (request) => patch(backend, request) },
    },
  }
}

async function patch(backend: Backend, request: ApiRequest): Promise<Reply> {
  const body = jsonBody(request)
  if (!body.ok) return body.reply
  const edit = parseRoutesEdit(body.value)
  if (!edit.ok) return plainError(400, edit.reason)
  try {
    return json(await backend.switchRoutes(edit.value))
  } catch (error) {
    if (error instanceof RefusedError) return plainError(400, error.message)
    throw error
  }
}
