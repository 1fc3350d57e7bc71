/** Files that wait for their device. Only ours has that. [docs/rules/localapi.md LA-9] */
import { parseFileName } from '../../../src-protocol/machines/taildrop/file-name.ts'
import type { Backend } from '../../engine/backend.ts'
import { empty, json, plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'

export function transferRoutes(backend: Backend): RouteTable {
  return {
    'pintail/transfers/history': {
      GET: { needs: 'write', handle: async () => json((await backend.taildrop?.history.list()) ?? []) },
      DELETE: { needs: 'write', handle: () => clear(backend) },
    },
    'pintail/transfers': {
      GET: { needs: 'write', handle: () => json(backend.taildrop?.queue.list ?? []) },
      PUT: { needs: 'write', streamsBody: true, handle: (request) => add(backend, request) },
      DELETE: { needs: 'write', handle: (request) => cancel(backend, request) },
    },
  }
}

async function clear({ taildrop }: Backend): Promise<Reply> {
  await taildrop?.history.clear()
  return empty()
}

/** `?to=STABLE-ID&name=NAME`; answers when the bytes are on disk. */
async function add({ taildrop, taildropView }: Backend, { query, headers, incoming }: ApiRequest): Promise<Reply> {
  const name = parseFileName(query.get('name') ?? '')
  if (!name.ok) return plainError(400, `invalid filename: ${name.reason}`)
  const peer = query.get('to') ?? ''
  const isTarget = taildrop?.findTarget(taildropView, peer) !== undefined
  if (taildrop === undefined || !isTarget) return plainError(404, 'node not found')
  const length = headers['content-length'] === undefined ? undefined : Number(headers['content-length'])
  const result = await taildrop.queue.add({ peer, name: name.value, body: incoming, length })
  switch (result.kind) {
    case 'queued':
      return json({ ID: result.id })
    case 'no-space':
      return plainError(507, 'not enough space to keep the file until then')
    case 'too-many':
      return plainError(409, 'too many files wait already')
    case 'not-ready':
      return plainError(503, 'not connected to the tailnet')
    case 'broke-off':
      return plainError(400, 'the file broke off')
  }
}

async function cancel({ taildrop }: Backend, { query }: ApiRequest): Promise<Reply> {
  const found = (await taildrop?.queue.cancel(query.get('id') ?? '')) === true
  return found ? empty() : plainError(404, 'no such transfer waits')
}
