/**
 * The helper's end of the socket. One caller is let in: the user the daemon runs as, told by the kernel. One command a
 * connection, one command at a time, short deadlines; every command and every refusal is logged. Not what commands do
 * (`direct.ts`) and not what they may say (`request.ts`). [docs/decisions/0009-privilege.md]
 */
import { createServer, type Socket } from 'node:net'
import { errorText, type Log } from '../log/log.ts'
import type { PeerCredentials } from '../users/port.ts'
import type { RootHelper, RootResult } from './port.ts'
import { decodeRootRequest, encodeRootReply, MAX_REQUEST_BYTES } from './request.ts'

const REQUEST_LIMIT_MS = 3_000
const MAX_CONNECTIONS = 8
const NEWLINE = 0x0a

export interface RootHelperServerOptions {
  /** The socket the service manager opened, or where to make one. */
  readonly listen: { readonly fd: number } | { readonly path: string }
  readonly allowedUid: number
  readonly credentialsOf: (socket: Socket) => PeerCredentials | undefined
  readonly helper: RootHelper
  readonly log: Log
  readonly requestLimitMs?: number
  /** Nothing asked for so long: nobody needs us for now. */
  readonly idle?: { readonly afterMs: number; readonly onIdle: () => void }
}

export interface RootHelperServer {
  close(): Promise<void>
}

export async function openRootHelperServer(options: RootHelperServerOptions): Promise<RootHelperServer> {
  const { allowedUid, credentialsOf, helper, log, idle, requestLimitMs = REQUEST_LIMIT_MS } = options
  const sockets = new Set<Socket>()
  let last: Promise<unknown> = Promise.resolve()
  const idleTimer = idle === undefined ? undefined : setTimeout(idle.onIdle, idle.afterMs)

  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const caller = credentialsOf(socket)
    if (caller?.uid !== allowedUid || sockets.size >= MAX_CONNECTIONS) {
      log.warn('refused-caller', { uid: caller?.uid, pid: caller?.pid, open: sockets.size })
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      if (sockets.size === 0) idleTimer?.refresh()
    })
    socket.on('error', () => {}) // `close` follows
    void serve(socket, caller.pid)
  })

  async function serve(socket: Socket, pid: number): Promise<void> {
    const line = await readLine(socket, requestLimitMs)
    const request = line.ok ? decodeRootRequest(line.value) : line
    if (!request.ok) {
      log.warn('refused-request', { pid, reason: request.reason })
      answer(socket, { kind: 'refused', message: `refused: ${request.reason}` })
      return
    }
    const done = last.then(() => helper.run(request.value))
    last = done.catch(() => {})
    const result = await done.catch((error): RootResult => ({ kind: 'failed', message: errorText(error) }))
    log.info('command', {
      pid,
      ...request.value,
      result: result.kind,
      ...('message' in result ? { why: result.message } : {}),
    })
    answer(socket, result)
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // Only the daemon may even connect; the service manager's socket has its own owner and mode.
    server.listen(options.listen, resolve)
  })
  return {
    async close() {
      clearTimeout(idleTimer)
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function answer(socket: Socket, result: RootResult): void {
  socket.end(encodeRootReply(result), () => socket.destroy())
}

type Line = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly reason: string }

/** Exactly one line: what is longer, slower, or goes on behind it, is not from our daemon. */
function readLine(socket: Socket, limitMs: number): Promise<Line> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    let length = 0
    const end = (line: Line): void => {
      clearTimeout(timer)
      socket.removeAllListeners('data').removeAllListeners('end').resume()
      resolve(line)
    }
    const timer = setTimeout(() => end({ ok: false, reason: 'too-slow' }), limitMs)
    socket.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > MAX_REQUEST_BYTES) return end({ ok: false, reason: 'too-long' })
      parts.push(chunk)
      const at = chunk.indexOf(NEWLINE)
      if (at < 0) return
      if (at !== chunk.length - 1) return end({ ok: false, reason: 'trailing' })
      const text = Buffer.concat(parts).toString('utf8')
      end({ ok: true, value: text.slice(0, -1) })
    })
    socket.once('end', () => end({ ok: false, reason: 'cut' }))
    socket.once('close', () => end({ ok: false, reason: 'cut' }))
  })
}
