/**
 * What a coordination server may ask of this node in its map stream: prove that you are alive, answer a request.
 * Everything that would change something here is refused.                        [control.md §5.2, 5.3; CTL-5]
 */
import type { PingRequest } from '../../src-contract/control/map.ts'
import { concat, parseBase64 } from '../../src-protocol/wire/bytes.ts'
import { utf8 } from '../../src-protocol/wire/text.ts'
import type { ControlTransport } from '../io/control/port.ts'

const HEAD_TIMEOUT_MS = 15_000
const ANSWER_TIMEOUT_MS = 60_000
const MAX_HEADER_BYTES = 65_536

export interface PingDoor {
  readonly transport: ControlTransport
  /** Requests outside of Noise. */
  readonly fetch: (url: URL, options: { method: 'HEAD'; redirect: 'manual'; signal: AbortSignal }) => Promise<unknown>
  readonly signal: AbortSignal
}

export class PingResponder {
  #lastUrl = ''

  /** Throws when the answer could not be given. */
  async answer(request: PingRequest, door: PingDoor): Promise<'ignored' | 'unsupported' | 'answered'> {
    if (request.URL === '' || request.URL === this.#lastUrl) return 'ignored'
    this.#lastUrl = request.URL
    const url = URL.canParse(request.URL, 'https://unused') ? new URL(request.URL, 'https://unused') : undefined
    if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) return 'ignored'
    const path = url.pathname + url.search
    if (!request.Types) {
      const signal = AbortSignal.any([door.signal, AbortSignal.timeout(HEAD_TIMEOUT_MS)])
      if (request.URLIsNoise !== true) await door.fetch(url, { method: 'HEAD', redirect: 'manual', signal })
      else (await door.transport.request({ method: 'HEAD', path, signal })).body.destroy()
      return 'answered'
    }
    if (request.Types !== 'c2n' || request.URLIsNoise !== true) return 'unsupported'
    const payload = parseBase64(request.Payload ?? '')
    if (!payload.ok) return 'ignored'
    const signal = AbortSignal.any([door.signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)])
    const body = answerC2n(payload.value)
    const response = await door.transport.request({ method: 'POST', path, body, signal })
    response.body.destroy()
    return 'answered'
  }
}

/** A whole HTTP/1.x request → a whole HTTP/1.1 response. Only `/echo` exists. */
export function answerC2n(request: Uint8Array): Uint8Array {
  const text = Buffer.from(request.buffer, request.byteOffset, Math.min(request.length, MAX_HEADER_BYTES)).toString(
    'latin1',
  )
  const end = text.indexOf('\r\n\r\n')
  const line = /^[A-Z]+ (\S+) HTTP\/1\.[01]\r\n/.exec(text)
  if (end < 0 || line === null) return respond('400 Bad Request', utf8('unreadable request'))
  const [path] = line[1]!.split('?', 1)
  if (path !== '/echo') return respond('400 Bad Request', utf8('unknown c2n path'))
  return respond('200 OK', request.subarray(end + 4))
}

function respond(status: string, body: Uint8Array): Uint8Array {
  return concat(utf8(`HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`), body)
}
