/** Changes of the network with a deadline. [docs/rules/changes.md] */
import type { Decoded } from '../../../src-protocol/wire/decoded.ts'
import type { Backend } from '../../engine/backend.ts'
import { ChangeConflictError } from '../../engine/changes/changes.ts'
import { parseChange, parseChangeId, parseWithin } from '../../engine/changes/parse-change.ts'
import { RefusedError } from '../../engine/core.ts'
import { json, plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'
import { jsonBody } from './json-body.ts'

/** A preview looks up users and networks, which costs more than reading: it is for those who may change. */
export function changeRoutes(backend: Backend): RouteTable {
  return {
    'pintail/changes': {
      GET: { needs: 'read', handle: () => json(backend.changes) },
      POST: { needs: 'write', handle: (request) => apply(backend, request) },
    },
    'pintail/changes/preview': {
      POST: {
        needs: 'write',
        handle: (request) => order(request, parseChange, (change) => backend.previewChange(change)),
      },
    },
    'pintail/changes/confirm': {
      POST: { needs: 'write', handle: (request) => order(request, parseChangeId, (id) => backend.confirmChange(id)) },
    },
    'pintail/changes/revert': {
      POST: { needs: 'write', handle: (request) => order(request, parseChangeId, (id) => backend.revertChange(id)) },
    },
  }
}

function apply(backend: Backend, request: ApiRequest): Promise<Reply> {
  const parse = (value: unknown): Decoded<Parameters<Backend['applyChange']>> => {
    const change = parseChange(value)
    if (!change.ok) return change
    const withinMs = parseWithin(value)
    return withinMs.ok ? { ok: true, value: [change.value, withinMs.value] } : withinMs
  }
  return order(request, parse, (order) => backend.applyChange(...order))
}

async function order<T>(
  request: ApiRequest,
  parse: (value: unknown) => Decoded<T>,
  run: (value: T) => Promise<unknown>,
): Promise<Reply> {
  const body = jsonBody(request)
  if (!body.ok) return body.reply
  const parsed = parse(body.value)
  if (!parsed.ok) return plainError(400, parsed.reason)
  try {
    return json(await run(parsed.value))
  } catch (error) {
    if (error instanceof ChangeConflictError) return plainError(409, error.message)
    if (error instanceof RefusedError) return plainError(400, error.message)
    throw error
  }
}
