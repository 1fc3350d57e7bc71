/**
 * Files and folders that are served are read by a program of their own, which has the rights of whoever asked for it and no
 * others: one for each user, started with the first request, ended when it is not needed. [docs/rules/serve.md SVE-9]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WebAnswer } from '../../../src-protocol/machines/serve/answer.ts'
import { errorText, type Log } from '../log/log.ts'
import { ReverseProxy } from './proxy.ts'

const program = fileURLToPath(new URL('../../file-server-main.ts', import.meta.url))
const START_MS = 10_000

export interface FileOwner {
  readonly uid: number
  readonly gid: number
}

/** Whether this process may take on somebody's rights. */
export function mayReadFor({ uid }: FileOwner): boolean {
  const own = process.getuid?.()
  return own === 0 || own === uid
}

export interface FileServersOptions {
  /** Whose rights a handler's files are read with; undefined = nobody's, which means not at all. */
  readonly ownerOf: (key: string) => FileOwner | undefined
  readonly log: Log
}

interface Running {
  readonly socketPath: string
  readonly child: ChildProcess
  readonly folder: string
}

type FilePlan = Extract<WebAnswer, { kind: 'file' }>

export class FileServers {
  readonly #o: FileServersOptions
  readonly #proxy: ReverseProxy
  readonly #running = new Map<number, Promise<Running>>()

  constructor(options: FileServersOptions) {
    this.#o = options
    this.#proxy = new ReverseProxy((_target, reason) => options.log.warn('serve-files', { reason }))
  }

  handle(request: IncomingMessage, response: ServerResponse, plan: FilePlan): void {
    const owner = this.#o.ownerOf(plan.key)
    if (owner === undefined) refuse(response, 403)
    else this.#hand(owner, request, response, plan)
  }

  #hand(owner: FileOwner, request: IncomingMessage, response: ServerResponse, plan: FilePlan): void {
    this.#serverOf(owner).then(
      ({ socketPath }) => {
        const headers: [string, string][] = [
          ['Pintail-File-Root', encodeURIComponent(plan.path)],
          ['Pintail-File-Mount', encodeURIComponent(plan.mounted.mount)],
          ['Pintail-File-Exact', plan.mounted.isExact ? '1' : '0'],
        ]
        const target = { scheme: 'http', isInsecure: false, host: undefined, port: 0, socketPath, prefix: '' } as const
        this.#proxy.handle(request, response, { target, path: `${plan.mounted.rest}${plan.query}`, headers })
      },
      (error) => {
        this.#o.log.warn('serve-files', { reason: errorText(error) })
        refuse(response, 502)
      },
    )
  }

  async close(): Promise<void> {
    const all = [...this.#running.values()]
    this.#running.clear()
    await this.#proxy.close()
    for (const one of await Promise.allSettled(all)) {
      if (one.status !== 'fulfilled') continue
      one.value.child.kill()
      await rm(one.value.folder, { recursive: true, force: true })
    }
  }

  #serverOf(owner: FileOwner): Promise<Running> {
    const existing = this.#running.get(owner.uid)
    if (existing !== undefined) return existing
    const starting = start(owner, () => this.#running.delete(owner.uid))
    this.#running.set(owner.uid, starting)
    starting.catch(() => this.#running.delete(owner.uid))
    return starting
  }
}

async function start({ uid, gid }: FileOwner, onEnd: () => void): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), 'pintail-files-'))
  try {
    const isSelf = uid === process.getuid?.()
    if (!isSelf) await chown(folder, uid, gid)
    const socketPath = join(folder, 's')
    const child = spawn(process.execPath, [program, socketPath], {
      stdio: ['pipe', 'pipe', 'ignore'], // it ends when its input does: with us
      env: {},
      cwd: '/',
      ...(isSelf ? {} : { uid, gid }),
    })
    child.once('exit', () => {
      onEnd()
      void rm(folder, { recursive: true, force: true })
    })
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('the file server does not start')), START_MS)
      const settle = (error?: Error): void => {
        clearTimeout(late)
        if (error === undefined) resolve()
        else reject(error)
      }
      child.once('error', settle)
      child.once('exit', (code) => settle(new Error(`the file server ended with ${code}`)))
      child.stdout.once('data', () => settle())
    })
    return { socketPath, child, folder }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'Content-Length': 0 })
  response.end()
}
