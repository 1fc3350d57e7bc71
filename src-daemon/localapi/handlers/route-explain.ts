/** Where traffic goes, and why. [docs/rules/explain.md] */
import type { Backend } from '../../engine/backend.ts'
import { parseQuestion } from '../../engine/explain/question.ts'
import { json, plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'

export function routeExplainRoutes(backend: Backend): RouteTable {
  return {
    'pintail/route-explain': { GET: { needs: 'read', handle: (request) => explain(backend, request) } },
  }
}

async function explain(backend: Backend, { query, caller, rights, signal }: ApiRequest): Promise<Reply> {
  const text = (name: string): string => query.get(name) ?? ''
  const user = text('user')
  const uid = user !== '' ? await backend.uidOf(user) : text('uid') === '' ? (caller?.uid ?? 0) : Number(text('uid'))
  if (uid === 'busy') return busy()
  if (uid === undefined) return plainError(400, `there is no user ${JSON.stringify(user.slice(0, 40))}`)
  const question = parseQuestion({ to: text('to'), from: text('from'), uid, proto: text('proto'), port: text('port') })
  if (!question.ok) return plainError(400, question.reason)
  const answer = await backend.explainRoute(question.value, { mayAsk: rights.write, signal })
  if (answer === 'unavailable') return plainError(503, 'routes cannot be explained here')
  return answer === undefined ? busy() : json(answer)
}

function busy(): Reply {
  return plainError(503, 'too many questions at once: try again in a moment')
}
