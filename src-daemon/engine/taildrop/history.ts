/** What was sent and received, for ninety days and up to a thousand files. [docs/rules/taildrop.md TD-10] */
import type { TransferRecord } from '../../../src-contract/localapi/files.ts'
import type { Journal, JournalLine } from '../../io/taildrop/journal.ts'

const KEEP_MS = 90 * 24 * 3_600_000
const MAX_LINES = 1_000

export class History {
  readonly #journal: Journal
  readonly #wallMs: () => number
  #lines: JournalLine[] = []
  #owner: string | undefined
  #loaded: Promise<void> | undefined

  constructor(journal: Journal, wallMs: () => number) {
    this.#journal = journal
    this.#wallMs = wallMs
  }

  follow(owner: string | undefined): void {
    this.#owner = owner
    if (owner !== undefined) void this.#load()
  }

  /** Of this network's person, newest first. */
  async list(): Promise<TransferRecord[]> {
    await this.#loaded
    return this.#fresh()
      .filter(({ owner }) => owner === this.#owner)
      .map(({ record }) => record)
      .reverse()
  }

  async note(record: TransferRecord): Promise<void> {
    const owner = this.#owner
    if (owner === undefined) return
    await this.#loaded
    const line = { owner, record }
    this.#lines.push(line)
    // rewritten now and then, so that the file stays twice as long at most
    if (this.#lines.length < 2 * MAX_LINES) return this.#journal.append(line)
    this.#lines = this.#fresh()
    return this.#journal.replace(this.#lines)
  }

  async clear(): Promise<void> {
    await this.#loaded
    this.#lines = this.#lines.filter(({ owner }) => owner !== this.#owner)
    await this.#journal.replace(this.#lines)
  }

  #load(): Promise<void> {
    this.#loaded ??= this.#journal.load().then(async (lines) => {
      this.#lines = [...lines, ...this.#lines]
      const fresh = this.#fresh()
      if (fresh.length === this.#lines.length) return
      this.#lines = fresh
      await this.#journal.replace(fresh)
    })
    return this.#loaded
  }

  #fresh(): JournalLine[] {
    const sinceMs = this.#wallMs() - KEEP_MS
    return this.#lines.filter(({ record }) => Date.parse(record.Finished) >= sinceMs).slice(-MAX_LINES)
  }
}
