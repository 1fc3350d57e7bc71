/** What does not take the exit node. [docs/rules/bypass.md] */

import type { Backend } from '../../engine/backend.ts'
import { parseBypass } from '../../engine/bypass/setting.ts'
import { RefusedError } from '../../engine/core.ts'
import { json, plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'
import { jsonBody } from './json-body.ts'

export function bypassRoutes(backend: Backend): RouteTable {
  return {
    'pintail/bypass': {
      GET: { needs: 'read', handle: async () => json(await backend.bypassReport()) },
      PUT: { needs: 'write', handle: (request) => put(backend, request) },
    },
    'pintail/bypass/suggestions': {
      GET: { needs: 'read', handle: async () => json(await backend.bypassSuggestions()) },
    },
  }
}

async function put(backend: Backend, request: ApiRequest): Promise<Reply> {
  const body = jsonBody(request)
  if (!body.ok) return body.reply
  const setting = parseBypass(body.value)
  if (!setting.ok) return plainError(400, setting.reason)
  try {
    return json(await backend.setBypass(setting.value))
  } catch (error) {
    if (error instanceof RefusedError) return plainError(400, error.message)
    throw error
  }
}
