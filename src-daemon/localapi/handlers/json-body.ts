/** A JSON body, or the refusal to answer with. */
import { parseJson } from '../../../src-protocol/wire/json.ts'
import { plainError, type Reply } from '../reply.ts'
import type { ApiRequest } from '../request.ts'

export type JsonBody = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reply: Reply }

export function jsonBody(request: ApiRequest): JsonBody {
  const parsed = parseJson(request.body)
  return parsed.ok ? parsed : { ok: false, reply: plainError(400, 'invalid JSON body') }
}

/** `true`, `false` and Go's other spellings; undefined for anything else. */
export function parseGoBool(text: string | null): boolean | undefined {
  if (text === null) return undefined
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false
  return undefined
}
