/**
 * resolvconf(8), in its two kinds: programs that put resolv.conf together from records, one of which is ours. Debian's
 * puts it first; openresolv takes it exclusively. A killed daemon's record is deleted by the next start.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OsDnsConfig } from '../../../src-protocol/machines/resolver/os-plan.ts'
import { parseResolvConf } from '../../../src-protocol/wire/resolv-conf.ts'
import type { RootHelper } from '../root-helper/port.ts'
import { resolverSettings } from '../root-helper/request.ts'
import { DEBIAN_RECORD, OPENRESOLV_RECORD, type ResolvconfStyle } from '../root-helper/resolvconf-program.ts'
import type { OsDns, OsDnsResult } from './port.ts'
import { runProgram } from './run-program.ts'

export interface ResolvconfOptions {
  readonly style: ResolvconfStyle
  readonly program: string
  /** Who may change records. */
  readonly root: RootHelper
  readonly why: string
  /** Where Debian's keeps its records. */
  readonly recordFolder?: string
}

export class ResolvconfOsDns implements OsDns {
  readonly mode: 'resolvconf' | 'openresolv'
  readonly why: string
  readonly canSplit = false
  readonly #o: ResolvconfOptions
  #applied: string | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: ResolvconfOptions) {
    this.#o = options
    this.why = options.why
    this.mode = options.style === 'debian' ? 'resolvconf' : 'openresolv'
  }

  listen(): void {} // the program itself keeps records and file in step

  apply(desired: OsDnsConfig | undefined): Promise<OsDnsResult> {
    return this.#serial(async () => {
      const settings = desired === undefined ? undefined : resolverSettings(desired)
      const text = settings === undefined ? '' : JSON.stringify(settings)
      if (text === this.#applied) return { kind: 'applied' }
      const result = await this.#o.root.run(
        settings === undefined ? { verb: 'delete-resolvconf-record' } : { verb: 'add-resolvconf-record', ...settings },
      )
      if (result.kind !== 'done') return { kind: 'failed', message: result.message }
      this.#applied = text
      return { kind: 'applied' }
    })
  }

  base(): Promise<OsDnsConfig> {
    return this.#serial(async () => {
      const texts = this.#o.style === 'debian' ? await this.#debianRecords() : await this.#openresolvRecords()
      const parsed = texts.map(parseResolvConf)
      return {
        nameservers: [...new Set(parsed.flatMap(({ nameservers }) => nameservers))],
        searchDomains: [...new Set(parsed.flatMap(({ searchDomains }) => searchDomains))],
        matchDomains: [],
      }
    })
  }

  /** Whether one of ours is there, of this life or one before. */
  async hasRecord(): Promise<boolean> {
    if (this.#o.style === 'debian') return (await this.#debianNames()).includes(DEBIAN_RECORD)
    return (await this.#listed()).some((part) => part.startsWith(`${OPENRESOLV_RECORD}\n`))
  }

  async close(): Promise<void> {
    await this.apply(undefined)
  }

  async #debianRecords(): Promise<string[]> {
    const names = (await this.#debianNames()).filter((name) => name !== DEBIAN_RECORD)
    return Promise.all(names.sort().map((name) => readFile(join(this.#folder, name), 'utf8').catch(() => '')))
  }

  #debianNames(): Promise<string[]> {
    return readdir(this.#folder).catch(() => [])
  }

  get #folder(): string {
    return this.#o.recordFolder ?? '/run/resolvconf/interface'
  }

  async #openresolvRecords(): Promise<string[]> {
    return (await this.#listed()).filter((part) => !part.startsWith(`${OPENRESOLV_RECORD}\n`))
  }

  async #listed(): Promise<string[]> {
    const { output } = await runProgram(this.#o.program, ['-l']).catch(() => ({ output: '' }))
    return output.split(/^# resolv\.conf from /m)
  }

  #serial<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => {})
    return done
  }
}
