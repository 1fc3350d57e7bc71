/** Preferences. [docs/rules/localapi.md LA-4] */
import type { Backend } from '../../engine/backend.ts'
import { RefusedError } from '../../engine/core.ts'
import { parseMaskedPrefs, parsePrefs } from '../../engine/prefs-parse.ts'
import { json, plainError, prefsError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'
import { jsonBody, parseGoBool } from './json-body.ts'

export function prefsRoutes(backend: Backend): RouteTable {
  return {
    prefs: {
      GET: { needs: 'read', handle: () => json(backend.prefs) },
      PATCH: { needs: 'write', handle: (request) => patchPrefs(backend, request) },
    },
    'check-prefs': { POST: { needs: 'write', handle: (request) => checkPrefs(backend, request) } },
    'set-use-exit-node-enabled': {
      POST: { needs: 'write', handle: (request) => toggleExitNode(backend, request) },
    },
  }
}

async function patchPrefs(backend: Backend, request: ApiRequest): Promise<Reply> {
  const body = jsonBody(request)
  if (!body.ok) return body.reply
  const edit = parseMaskedPrefs(body.value)
  if (!edit.ok) return prefsError(400, edit.message)
  try {
    return json(await backend.editPrefs(edit.value))
  } catch (error) {
    if (error instanceof RefusedError) return prefsError(400, error.message)
    throw error
  }
}

/** 200 also for prefs that are refused: clients read the `Error` member, or nothing. */
async function checkPrefs(backend: Backend, request: ApiRequest): Promise<Reply> {
  const body = jsonBody(request)
  if (!body.ok) return body.reply
  const prefs = parsePrefs(body.value)
  if (!prefs.ok) return plainError(400, prefs.message)
  const problem = await backend.checkPrefs(prefs.value)
  return problem === undefined ? json({}) : prefsError(200, problem)
}

async function toggleExitNode(backend: Backend, request: ApiRequest): Promise<Reply> {
  const isEnabled = parseGoBool(request.query.get('enabled'))
  if (isEnabled === undefined) return plainError(400, "invalid 'enabled' parameter")
  try {
    return json(await backend.toggleExitNode(isEnabled))
  } catch (error) {
    if (error instanceof RefusedError) return plainError(500, error.message)
    throw error
  }
}
