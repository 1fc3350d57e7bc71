/** Files between machines: who can be sent to, and what has come and waits. [docs/rules/localapi.md LA-9] */
import { pipeline } from 'node:stream/promises'
import type { FileTarget, WaitingFile } from '../../../src-contract/localapi/files.ts'
import { parseEscapedName } from '../../../src-protocol/machines/taildrop/file-name.ts'
import type { Backend } from '../../engine/backend.ts'
import { empty, json, plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'

const MAX_WAIT_SECONDS = 3_600

export function fileRoutes(backend: Backend): RouteTable {
  return {
    'file-targets': { GET: { needs: 'read', handle: () => targets(backend) } },
    'file-put/': { PUT: { needs: 'write', streamsBody: true, handle: (request) => put(backend, request) } },
    'files/': {
      GET: {
        needs: 'write',
        handle: (request) => (request.rest === '' ? list(backend, request) : read(backend, request)),
      },
      DELETE: { needs: 'write', handle: (request) => remove(backend, request) },
    },
  }
}

function targets(backend: Backend): Reply {
  const found = backend.taildrop?.targets(backend.taildropView) ?? 'not-allowed'
  if (found === 'not-running') return plainError(500, 'not connected to the tailnet')
  if (found === 'not-allowed') return plainError(500, 'file sharing not enabled by Tailscale admin')
  return json(found)
}

/** `<stable id>/<escaped name>`; the answer is the peer's. */
async function put(backend: Backend, { rest, headers, incoming, signal }: ApiRequest): Promise<Reply> {
  const [id = '', escaped = ''] = rest.split(/\/(.*)/s)
  const name = parseEscapedName(escaped)
  if (!name.ok) return plainError(400, `invalid filename: ${name.reason}`)
  const found = backend.taildrop?.targets(backend.taildropView)
  if (backend.taildrop === undefined || !Array.isArray(found)) return targets(backend)
  const target = (found as FileTarget[]).find(({ Node }) => Node.StableID === id)
  if (target === undefined) return plainError(404, 'node not found')
  const length = headers['content-length'] === undefined ? undefined : Number(headers['content-length'])
  const result = await backend.taildrop.outbox.send({ target, name: name.value, length, body: incoming, signal })
  if (result.kind === 'unreachable') return plainError(504, result.reason)
  if (result.kind === 'broke-off') return plainError(502, result.reason)
  return result.status === 200 ? json({}) : plainError(result.status, result.text)
}

async function list({ taildrop }: Backend, { query, signal }: ApiRequest): Promise<Reply> {
  const seconds = query.get('waitsec') ?? '0'
  if (!/^\d{1,9}$/.test(seconds)) return plainError(400, `invalid waitsec ${JSON.stringify(seconds)}`)
  const withinMs = Math.min(Number(seconds), MAX_WAIT_SECONDS) * 1_000
  const found = (await taildrop?.inbox.waitForFiles(withinMs, signal)) ?? []
  const files: WaitingFile[] = found.map(({ name, size }) => ({ Name: name, Size: size }))
  return json(files.length === 0 ? null : files)
}

async function read({ taildrop }: Backend, { rest, method }: ApiRequest): Promise<Reply> {
  const name = parseEscapedName(rest)
  if (!name.ok) return plainError(400, 'bad filename')
  const file = await taildrop?.inbox.read(name.value)
  if (file === undefined) return plainError(500, 'no such file waits')
  return {
    kind: 'stream',
    run: (response) => {
      response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': file.size })
      if (method === 'HEAD') {
        file.body.destroy()
        response.end()
      } else pipeline(file.body, response).catch(() => response.destroy()) // the client left, or the disk fails: it sees too few bytes
    },
  }
}

async function remove({ taildrop }: Backend, { rest }: ApiRequest): Promise<Reply> {
  const name = parseEscapedName(rest)
  if (!name.ok) return plainError(400, 'bad filename')
  return (await taildrop?.inbox.remove(name.value)) === true ? empty() : plainError(500, 'no such file waits')
}
