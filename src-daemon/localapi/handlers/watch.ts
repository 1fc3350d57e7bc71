/**
 * `watch-ipn-bus`: one JSON object per line for as long as the client listens. A client that does not read loses its
 * watch, not our memory. [docs/rules/localapi.md LA-6]
 */
import type { ServerResponse } from 'node:http'
import { type Notify, watchMask } from '../../../src-contract/localapi/notify.ts'
import { writeJson } from '../../../src-protocol/wire/json.ts'
import type { Backend } from '../../engine/backend.ts'
import { emptyNotify, INCREMENTAL_BITS } from '../../engine/notify.ts'
import { NotifyPace } from '../../engine/notify-pace.ts'
import { plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'

const MAX_QUEUED = 128
const MAX_QUEUED_BYTES = 16 << 20
const FELL_BEHIND = 'IPN bus consumer fell behind; closing watch'

export function watchRoutes(backend: Backend): RouteTable {
  return { 'watch-ipn-bus': { GET: { needs: 'read', handle: (request) => watch(backend, request) } } }
}

function watch(backend: Backend, request: ApiRequest): Reply {
  const mask = parseMask(request.query.get('mask'))
  if (mask === undefined) return plainError(400, 'bad mask')
  if ((mask & watchMask.inProcessNoDisconnect) !== 0) return plainError(400, 'mask bit is for in-process watchers only')
  if ((mask & watchMask.rateLimit) !== 0 && (mask & INCREMENTAL_BITS) !== 0) {
    return plainError(400, 'rate limit cannot be combined with incremental updates')
  }
  return { kind: 'stream', run: (response) => stream(backend, mask, response) }
}

/** Up to 32 bits count; Go's parser takes 64, and what is beyond ours is unknown and ignored. */
function parseMask(text: string | null): number | undefined {
  if (text === null || text === '') return 0
  if (!/^\d{1,20}$/.test(text)) return undefined
  return Number(BigInt(text) & 0x7fffffffn)
}

function stream(backend: Backend, mask: number, response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'application/json' })
  // `up` sends its next call only after it has seen our header.
  response.flushHeaders()
  const pace = new NotifyPace(mask)
  let queued = 0
  let timer: NodeJS.Timeout | undefined
  const write = (notify: Notify): void => {
    if (response.writableEnded) return
    if (queued >= MAX_QUEUED || response.writableLength > MAX_QUEUED_BYTES) {
      stop()
      response.end(`${writeJson({ ...emptyNotify(backend.version), ErrMessage: FELL_BEHIND })}\n`)
      return
    }
    queued++
    response.write(`${writeJson(notify)}\n`, () => queued--)
  }
  const arm = (): void => {
    clearTimeout(timer)
    const at = pace.nextWake()
    if (at === undefined || response.writableEnded) return
    timer = setTimeout(
      () => {
        for (const notify of pace.wake(performance.now())) write(notify)
        arm()
      },
      Math.max(0, at - performance.now()),
    )
  }
  const stop = backend.watch({
    mask,
    deliver: (notify) => {
      for (const ready of pace.offer(notify, performance.now())) write(ready)
      arm()
    },
    end: () => response.end(),
  })
  response.once('close', () => {
    clearTimeout(timer)
    stop()
  })
}
