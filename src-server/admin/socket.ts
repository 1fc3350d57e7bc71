/** The administration socket. File permissions are the authorisation: who may open it is an administrator. */
import { chmodSync, existsSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { parseJson } from '../../src-protocol/wire/json.ts'
import { parseUtf8 } from '../../src-protocol/wire/text.ts'
import { queryOf, readRequest, sendJson } from '../http/front.ts'
import { type AdminDoor, AdminProblem, answerAdmin } from './api.ts'

const MAX_BODY_BYTES = 64 << 10

export interface AdminSocket {
  close(): Promise<void>
}

/** Call it before the database is opened, so that a second server stops here and changes nothing. */
export async function claimSocket(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  if (!existsSync(path)) return
  if (!lstatSync(path).isSocket()) throw new Error(`${path} exists and is no socket; set unix_socket to another path`)
  if (await answers(path)) throw new Error(`another pintail-control already serves ${path}`)
  unlinkSync(path)
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.once('connect', () => resolve(true))
  socket.once('error', () => resolve(false)) // nobody is behind it
  return promise.finally(() => socket.destroy())
}

export async function openAdminSocket(
  path: string,
  mode: number,
  door: AdminDoor,
  onFailure: (error: unknown) => void,
): Promise<AdminSocket> {
  const server: Server = createServer((request, response) => {
    handle(door, request, response).catch((error: unknown) => {
      onFailure(error)
      if (!response.headersSent) problem(response, 500, 'internal error; the server log has the details')
    })
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const mask = process.umask(0o177) // nobody else may connect before the mode is set
  try {
    server.once('error', reject)
    server.listen(path, resolve)
  } finally {
    process.umask(mask)
  }
  await promise
  chmodSync(path, mode)
  return {
    close: async () => {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      server.closeAllConnections()
      await closed.promise
    },
  }
}

async function handle(door: AdminDoor, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const bytes = await readRequest(request, MAX_BODY_BYTES)
  if (bytes === undefined) {
    problem(response, 413, 'the request is too large')
    return
  }
  const text = parseUtf8(bytes)
  const body = text.ok ? (text.value === '' ? { ok: true as const, value: undefined } : parseJson(text.value)) : text
  if (!body.ok) {
    problem(response, 400, 'the request is not JSON')
    return
  }
  try {
    const path = (request.url ?? '/').split('?', 1)[0]!
    sendJson(response, 200, await answerAdmin(door, request.method ?? 'GET', path, queryOf(request), body.value))
  } catch (error) {
    if (!(error instanceof AdminProblem)) throw error
    problem(response, error.status, error.message)
  }
}

function problem(response: ServerResponse, status: number, detail: string): void {
  sendJson(response, status, { title: 'refused', status, detail }, { 'Content-Type': 'application/problem+json' })
}
