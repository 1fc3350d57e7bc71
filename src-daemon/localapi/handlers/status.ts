import type { Backend } from '../../engine/backend.ts'
import { indentedJson } from '../reply.ts'
import type { RouteTable } from '../request.ts'

export function statusRoutes(backend: Backend): RouteTable {
  return {
    status: {
      GET: { needs: 'read', handle: ({ query }) => indentedJson(backend.status(query.get('peers') !== 'false')) },
    },
  }
}
