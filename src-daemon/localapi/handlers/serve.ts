/** What this machine serves: `serve-config`, in the field's form. [docs/rules/serve.md SVE-10] */
import { createHash } from 'node:crypto'
import type { ServeConfig } from '../../../src-contract/localapi/serve.ts'
import { parseServeConfig } from '../../../src-protocol/machines/serve/config.ts'
import { writeJson } from '../../../src-protocol/wire/json.ts'
import type { Backend } from '../../engine/backend.ts'
import { RefusedError } from '../../engine/core.ts'
import { pathsOf } from '../../engine/serve/kept.ts'
import { empty, json, jsonError, plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'
import { jsonBody } from './json-body.ts'

class ChangedMeanwhile extends Error {}

export function serveRoutes(backend: Backend): RouteTable {
  return {
    'serve-config': {
      GET: { needs: 'read', handle: () => reply(backend.serveConfig) },
      POST: { needs: 'write', handle: (request) => set(backend, request) },
    },
  }
}

function reply(config: ServeConfig): Reply {
  return json(wireForm(config), { Etag: etagOf(config) })
}

async function set(backend: Backend, request: ApiRequest): Promise<Reply> {
  const body = jsonBody(request)
  if (!body.ok) return body.reply
  const next = parseServeConfig(body.value ?? {})
  if (!next.ok) return plainError(400, next.reason)
  const seen = request.headers['if-match'] ?? ''
  const { caller } = request
  if (caller === undefined && pathsOf(next.value).size > 0)
    return jsonError(
      'updating config: files are served with the rights of who asks for it, and who asks is unknown here',
    )
  try {
    await backend.setServeConfig(next.value, caller ?? NOBODY, (now) => {
      if (seen !== '' && seen !== etagOf(now)) throw new ChangedMeanwhile()
    })
    return empty(200)
  } catch (error) {
    if (error instanceof ChangedMeanwhile) return plainError(412, 'etag mismatch')
    if (error instanceof RefusedError) return jsonError(`updating config: ${error.message}`)
    throw error
  }
}

/** Without files nobody's rights are needed. */
const NOBODY = { uid: 65_534, gid: 65_534 }

function wireForm(config: ServeConfig): ServeConfig | null {
  return Object.keys(config).length === 0 ? null : config
}

function etagOf(config: ServeConfig): string {
  return createHash('sha256')
    .update(writeJson(wireForm(config)))
    .digest('hex')
}
