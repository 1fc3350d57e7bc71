/** Signing in and out, and profiles. The exact codes matter: clients insist on them. [docs/rules/localapi.md LA-5] */

import { isJsonObject } from '../../../src-protocol/wire/json.ts'
import type { Backend } from '../../engine/backend.ts'
import { RefusedError } from '../../engine/core.ts'
import { parsePrefs } from '../../engine/prefs-parse.ts'
import { empty, json, plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'
import { jsonBody } from './json-body.ts'

export function loginRoutes(backend: Backend): RouteTable {
  const command = (run: () => Promise<unknown>) => async () => {
    await run()
    return empty()
  }
  return {
    start: { POST: { needs: 'write', handle: (request) => start(backend, request) } },
    'login-interactive': { POST: { needs: 'write', handle: refusable(command(() => backend.loginInteractive())) } },
    logout: { POST: { needs: 'write', handle: refusable(command(() => backend.logout())) } },
    'reset-auth': { POST: { needs: 'write', handle: refusable(command(() => backend.resetAuth())) } },
    'profiles/': {
      GET: { needs: 'write', handle: (request) => getProfile(backend, request) },
      PUT: { needs: 'write', handle: refusable((request) => putProfile(backend, request)) },
      POST: { needs: 'write', handle: refusable((request) => switchProfile(backend, request)) },
      DELETE: { needs: 'write', handle: refusable((request) => deleteProfile(backend, request)) },
    },
  }
}

type Handle = (request: ApiRequest) => Promise<Reply>

function refusable(handle: Handle): Handle {
  return async (request) => {
    try {
      return await handle(request)
    } catch (error) {
      if (error instanceof RefusedError) return plainError(500, error.message)
      throw error
    }
  }
}

async function start(backend: Backend, request: ApiRequest): Promise<Reply> {
  const body = jsonBody(request)
  if (!body.ok) return body.reply
  if (!isJsonObject(body.value)) return plainError(400, 'options must be a JSON object')
  const { AuthKey: authKey = '', UpdatePrefs: wanted = null } = body.value
  if (typeof authKey !== 'string') return plainError(400, 'AuthKey must be a string')
  const prefs = wanted === null ? undefined : parsePrefs(wanted)
  if (prefs?.ok === false) return plainError(400, prefs.message)
  return refusable(async () => {
    const { isOperator: byOperator } = request.rights
    await backend.start({ AuthKey: authKey.trim(), UpdatePrefs: prefs?.value ?? null, byOperator })
    return empty()
  })(request)
}

function getProfile(backend: Backend, { rest }: ApiRequest): Reply {
  if (rest === '') return json(backend.profileList())
  if (rest === 'current') return json(backend.currentProfile())
  const profile = backend.findProfile(decode(rest))
  return profile === undefined ? plainError(404, 'Profile not found') : json(profile)
}

async function putProfile(backend: Backend, { rest }: ApiRequest): Promise<Reply> {
  if (rest !== '') return plainError(405, 'want GET, POST or DELETE')
  await backend.newProfile()
  return empty(201)
}

async function switchProfile(backend: Backend, { rest }: ApiRequest): Promise<Reply> {
  const result = await backend.switchProfile(decode(rest))
  return result === 'not-found' ? plainError(500, 'profile not found') : empty()
}

async function deleteProfile(backend: Backend, { rest }: ApiRequest): Promise<Reply> {
  await backend.deleteProfile(decode(rest))
  return empty()
}

/** Bad escapes name no profile. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
