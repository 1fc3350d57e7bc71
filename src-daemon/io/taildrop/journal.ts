/** Transfers that are over, a JSON object per line, on disk. Lines that cannot be read are left out. [docs/rules/taildrop.md TD-10] */
import { appendFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { TransferRecord } from '../../../src-contract/localapi/files.ts'
import { isJsonObject } from '../../../src-protocol/wire/json.ts'
import { errorCode, errorText, type Log } from '../log/log.ts'

/** What belongs to it beside what is shown. */
export interface JournalLine {
  readonly owner: string
  readonly record: TransferRecord
}

export class Journal {
  readonly #path: string
  readonly #log: Log
  #writing: Promise<void> = Promise.resolve()

  constructor(path: string, log: Log) {
    this.#path = path
    this.#log = log
  }

  /** In the order in which they were written. */
  async load(): Promise<JournalLine[]> {
    const text = await readFile(this.#path, 'utf8').catch((error) => {
      if (errorCode(error) !== 'ENOENT') this.#log.warn('transfers-unreadable', { reason: errorText(error) })
      return ''
    })
    return text.split('\n').flatMap((line) => parseLine(line) ?? [])
  }

  append(line: JournalLine): Promise<void> {
    return this.#serial(async () => {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 })
      await appendFile(this.#path, `${JSON.stringify(line)}\n`, { mode: 0o600 })
    })
  }

  replace(lines: readonly JournalLine[]): Promise<void> {
    return this.#serial(async () => {
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
      if (text === '') return rm(this.#path, { force: true })
      await writeFile(`${this.#path}.tmp`, text, { mode: 0o600, flush: true })
      await rename(`${this.#path}.tmp`, this.#path)
    })
  }

  /** A history that cannot be kept is no reason to stop anything. */
  #serial(work: () => Promise<void>): Promise<void> {
    this.#writing = this.#writing.then(work).catch((error) => {
      this.#log.warn('transfers-not-kept', { reason: errorText(error) })
    })
    return this.#writing
  }
}

function parseLine(line: string): JournalLine | undefined {
  if (line === '') return undefined
  try {
    const value: unknown = JSON.parse(line)
    if (!isJsonObject(value) || typeof value.owner !== 'string') return undefined
    const record = parseRecord(value.record)
    return record === undefined ? undefined : { owner: value.owner, record }
  } catch {
    return undefined // cut off by a power failure
  }
}

function parseRecord(value: unknown): TransferRecord | undefined {
  if (!isJsonObject(value)) return undefined
  const { Direction, Size } = value
  const texts = ['PeerID', 'PeerName', 'Name', 'Started', 'Finished', 'Result'] as const
  const [PeerID, PeerName, Name, Started, Finished, Result] = texts.map((name) => String(value[name] ?? ''))
  if (Direction !== 'in' && Direction !== 'out') return undefined
  if (typeof Size !== 'number' || texts.some((name) => typeof value[name] !== 'string')) return undefined
  return {
    ...{ Direction, PeerID: PeerID ?? '', PeerName: PeerName ?? '', Name: Name ?? '', Size },
    ...{ Started: Started ?? '', Finished: Finished ?? '', Result: Result ?? '' },
  }
}
