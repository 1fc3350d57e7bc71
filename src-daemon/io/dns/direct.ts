/**
 * A host without a program that manages DNS: /etc/resolv.conf is ours while we run. Watches it, and decides what is done
 * when others write there, too; the file itself is `root-helper/resolv-conf-file.ts`. [docs/rules/dns.md DNS-12]
 */
import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { OsDnsConfig } from '../../../src-protocol/machines/resolver/os-plan.ts'
import { parseResolvConf, resolvConfOwner } from '../../../src-protocol/wire/resolv-conf.ts'
import { errorText } from '../log/log.ts'
import type { RootCommand, RootHelper } from '../root-helper/port.ts'
import { resolverSettings } from '../root-helper/request.ts'
import { ResolvConfFile } from '../root-helper/resolv-conf-file.ts'
import { noOsDns, type OsDns, type OsDnsResult, type OsDnsTrouble } from './port.ts'

const QUIET_MS = 500
/** So many times within a minute we give others the last word but one; then it is a fight. */
const MAX_REPAIRS = 3
const FIGHT_WINDOW_MS = 60_000

export interface DirectOptions {
  /** /etc */
  readonly folder: string
  readonly why: string
  /** Who writes the file. */
  readonly root: RootHelper
  readonly now?: () => number
}

export class DirectOsDns implements OsDns {
  readonly mode = 'direct'
  readonly why: string
  readonly canSplit = false
  readonly #file: ResolvConfFile
  readonly #root: RootHelper
  readonly #now: () => number
  #desired: OsDnsConfig | undefined
  #written: string | undefined
  #watcher: FSWatcher | undefined
  #quiet: NodeJS.Timeout | undefined
  #peace: NodeJS.Timeout | undefined
  #repairs: number[] = []
  #events: Parameters<OsDns['listen']>[0] | undefined
  #trouble: OsDnsTrouble | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: DirectOptions) {
    this.#file = new ResolvConfFile(options.folder)
    this.#root = options.root
    this.why = options.why
    this.#now = options.now ?? (() => performance.now())
  }

  listen(events: Parameters<OsDns['listen']>[0]): void {
    this.#events = events
  }

  apply(desired: OsDnsConfig | undefined): Promise<OsDnsResult> {
    return this.#serial(async () => {
      const isSame = JSON.stringify(desired) === JSON.stringify(this.#desired)
      if (isSame && this.#trouble?.kind === 'fight') return { kind: 'applied' } // until something else is wanted
      if (!isSame) {
        this.#repairs = []
        this.#setTrouble(undefined)
      }
      this.#desired = desired
      try {
        if (desired === undefined) await this.#restore()
        else await this.#write(desired)
        return { kind: 'applied' }
      } catch (error) {
        return { kind: 'failed', message: `${this.#file.path}: ${errorText(error)}` }
      }
    })
  }

  base(): Promise<OsDnsConfig> {
    return this.#serial(async () => {
      const text = await this.#file.read()
      const isOurs = text !== undefined && resolvConfOwner(text) === 'ours'
      const before = isOurs ? await this.#file.readBackup() : text
      return before === undefined ? noOsDns : { ...parseResolvConf(before), matchDomains: [] }
    })
  }

  async close(): Promise<void> {
    clearTimeout(this.#peace)
    await this.apply(undefined)
    this.#events = undefined
  }

  async #write(desired: OsDnsConfig): Promise<void> {
    const { nameservers, searchDomains } = resolverSettings(desired)
    this.#written = this.#file.textOf({ nameservers, searchDomains })
    if ((await this.#file.read()) !== this.#written)
      await this.#run({ verb: 'write-resolv-conf', nameservers, searchDomains })
    this.#watch()
  }

  async #restore(): Promise<void> {
    this.#unwatch()
    this.#written = undefined
    if (await this.#file.isTouched()) await this.#run({ verb: 'restore-resolv-conf' })
  }

  async #run(command: RootCommand): Promise<void> {
    const result = await this.#root.run(command)
    if (result.kind !== 'done') throw new Error(result.message)
  }

  #watch(): void {
    if (this.#watcher !== undefined) return
    // the folder: others replace the file by renaming
    this.#watcher = watch(dirname(this.#file.path), (_event, name) => {
      if (name !== null && name !== basename(this.#file.path)) return
      clearTimeout(this.#quiet)
      this.#quiet = setTimeout(() => void this.#serial(() => this.#look()), QUIET_MS)
    })
    this.#watcher.unref()
    this.#watcher.on('error', () => this.#unwatch())
  }

  #unwatch(): void {
    clearTimeout(this.#quiet)
    this.#watcher?.close()
    this.#watcher = undefined
  }

  /** Somebody wrote: a DHCP client's news become the new original; one who insists gets his way, and a person hears of it. */
  async #look(): Promise<void> {
    if (this.#written === undefined || this.#desired === undefined) return
    const present = await this.#file.read().catch(() => undefined)
    if (present === this.#written) return
    const now = this.#now()
    this.#repairs = this.#repairs.filter((at) => now - at < FIGHT_WINDOW_MS)
    const who = present === undefined ? 'it was removed' : (resolvConfOwner(present) ?? firstComment(present))
    if (this.#repairs.length >= MAX_REPAIRS) {
      clearTimeout(this.#peace)
      this.#setTrouble({ kind: 'fight', detail: who })
      return
    }
    this.#repairs.push(now)
    this.#setTrouble({ kind: 'overwritten', detail: who })
    try {
      await this.#write(this.#desired)
      clearTimeout(this.#peace)
      this.#peace = setTimeout(() => this.#setTrouble(undefined), FIGHT_WINDOW_MS).unref()
      this.#events?.onBaseChange()
    } catch (error) {
      this.#setTrouble({ kind: 'fight', detail: errorText(error) })
    }
  }

  #setTrouble(trouble: OsDnsTrouble | undefined): void {
    if (JSON.stringify(trouble) === JSON.stringify(this.#trouble)) return
    this.#trouble = trouble
    this.#events?.onTrouble(trouble)
  }

  #serial<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => {})
    return done
  }
}

function firstComment(text: string): string {
  const line = text.split('\n').find((candidate) => /^\s*[#;]/.test(candidate))
  return line === undefined ? 'another program' : line.replace(/^[\s#;]+/, '').slice(0, 100)
}
