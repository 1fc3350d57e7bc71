/**
 * The UAPI socket `/var/run/wireguard/NAME.sock`: who may speak to it, its life as a file, requests in turn. What the
 * requests mean is the handler's part, their form `wire/uapi.ts`'s.                              [docs/rules/uapi.md UAPI-3]
 */
import { type FSWatcher, lstatSync, watch } from 'node:fs'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import {
  encodeUapiErrno,
  encodeUapiState,
  type UapiChange,
  type UapiErrno,
  UapiReader,
  type UapiRequest,
  type UapiState,
} from '../../../src-protocol/wire/uapi.ts'
import { errorCode, type Log } from '../log/log.ts'
import type { PeerCredentials } from '../users/port.ts'

export const UAPI_FOLDER = '/var/run/wireguard'
const MAX_CONNECTIONS = 64
const IDLE_LIMIT_MS = 120_000
/** A device that was just deleted may still be on its way out. */
const IN_USE_PATIENCE_MS = 2_000
const IN_USE_RETRY_MS = 50

export interface UapiHandler {
  state(): UapiState
  /** All of it, or none and the reason. */
  apply(change: UapiChange): Promise<UapiErrno | undefined>
}

export interface UapiSocketOptions {
  readonly interfaceName: string
  readonly folder?: string
  readonly handler: UapiHandler
  /** Undefined where the platform cannot tell: then nobody is told keys, and nobody may change anything. */
  readonly credentialsOf: ((socket: Socket) => PeerCredentials | undefined) | undefined
  /** Somebody deleted the socket's file. */
  readonly onRemoved?: () => void
  readonly log: Log
}

export interface UapiSocket {
  readonly path: string
  close(): Promise<void>
}

export async function openUapiSocket(options: UapiSocketOptions): Promise<UapiSocket> {
  const folder = options.folder ?? UAPI_FOLDER
  const path = join(folder, `${options.interfaceName}.sock`)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await waitUntilFree(path)
  await rm(path, { force: true })
  const socket = new ListeningSocket(options, path)
  await socket.listen()
  return socket
}

class ListeningSocket implements UapiSocket {
  readonly path: string
  readonly #options: UapiSocketOptions
  readonly #server: Server
  readonly #connections = new Set<Socket>()
  #watcher: FSWatcher | undefined
  #inode: number | undefined
  #closed = false

  constructor(options: UapiSocketOptions, path: string) {
    this.#options = options
    this.path = path
    this.#server = createServer({ allowHalfOpen: true }, (connection) => this.#serve(connection))
    this.#server.maxConnections = MAX_CONNECTIONS
  }

  async listen(): Promise<void> {
    const mask = process.umask(0o177) // nobody gets in between listen and chmod
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject)
        this.#server.listen(this.path, resolve)
      })
    } finally {
      process.umask(mask)
    }
    await chmod(this.path, 0o600)
    this.#inode = inodeOf(this.path)
    this.#watcher = watch(this.path, () => this.#checkFile())
    this.#watcher.on('error', (error) => this.#options.log.warn('uapi-watch', { error }))
    this.#checkFile()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#watcher?.close()
    for (const connection of this.#connections) connection.destroy()
    if (inodeOf(this.path) !== this.#inode) {
      this.#server.unref() // closing would delete a file that is another's by now
      return
    }
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #checkFile(): void {
    if (this.#closed || inodeOf(this.path) === this.#inode) return
    this.#watcher?.close()
    this.#options.onRemoved?.()
  }

  #serve(connection: Socket): void {
    this.#connections.add(connection)
    connection.once('close', () => this.#connections.delete(connection))
    connection.on('error', () => {}) // a caller that leaves early is its own affair
    connection.setTimeout(IDLE_LIMIT_MS, () => connection.destroy())
    const isRoot = this.#options.credentialsOf?.(connection)?.uid === 0
    const reader = new UapiReader()
    let last: Promise<void> = Promise.resolve()
    const inTurn = (work: () => Promise<void>): void => {
      last = last.then(work).catch((error: unknown) => {
        this.#options.log.error('uapi-failed', { error })
        connection.destroy()
      })
    }
    connection.on('data', (bytes) => {
      for (const request of reader.push(bytes)) {
        inTurn(async () => {
          if (connection.destroyed) return
          connection.write(await this.#answer(request, { isRoot }))
          if (request.kind === 'invalid' && request.isFatal) connection.end(() => connection.destroy())
        })
      }
    })
    connection.once('end', () => inTurn(async () => void connection.end()))
  }

  async #answer(request: UapiRequest, caller: { readonly isRoot: boolean }): Promise<Uint8Array> {
    const { handler, log } = this.#options
    switch (request.kind) {
      case 'get': {
        const state = handler.state()
        return encodeUapiState(caller.isRoot ? state : withoutKeys(state))
      }
      case 'set': {
        const errno = caller.isRoot ? await handler.apply(request.change) : 'EPERM'
        if (errno !== undefined) log.warn('uapi-refused', { errno })
        return encodeUapiErrno(errno)
      }
      case 'invalid':
        log.warn('uapi-invalid', { errno: request.errno, reason: request.reason })
        return encodeUapiErrno(request.errno)
    }
  }
}

function withoutKeys(state: UapiState): UapiState {
  return {
    ...state,
    privateKey: undefined,
    peers: [...state.peers].map((peer) => ({ ...peer, presharedKey: undefined })),
  }
}

function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino
}

async function waitUntilFree(path: string): Promise<void> {
  const end = performance.now() + IN_USE_PATIENCE_MS
  while (await isAnswered(path)) {
    if (performance.now() >= end) throw new Error(`another program answers on ${path}`)
    await new Promise((resolve) => setTimeout(resolve, IN_USE_RETRY_MS))
  }
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', (error) => {
      const code = errorCode(error)
      // Nothing there, a file that is no socket, or a socket that nobody holds any more.
      if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK') resolve(false)
      else reject(error)
    })
  })
}
