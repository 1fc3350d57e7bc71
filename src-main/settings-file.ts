/** The app's own settings (never keys): one JSON file, written beside and renamed, unreadable parts fall back to defaults. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import * as z from 'zod/mini'
import { languages, themes, trayStyles } from '../src-contract/app/app-state.ts'
import { log } from './log.ts'

const place = z.object({ x: z.optional(z.number()), y: z.optional(z.number()), width: z.number(), height: z.number() })

const shape = {
  language: z.catch(z.enum([...languages, 'system']), 'system'),
  theme: z.catch(z.enum(themes), 'system'),
  trayStyle: z.catch(z.enum(trayStyles), 'colour'),
  whenClosed: z.catch(z.enum(['ask', 'keep', 'quit']), 'ask'),
  /** Ids of exit nodes that were in use, the latest first. */
  recentExits: z.catch(z.array(z.string().check(z.maxLength(128))).check(z.maxLength(20)), []),
  window: z.catch(z.optional(place), undefined),
}
const settingsFile = z.object(shape)
export type StoredSettings = z.infer<typeof settingsFile>

export function parseSettings(text: string): StoredSettings {
  let value: unknown = {}
  try {
    value = JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    log('warn', 'the settings file is not JSON; starting with defaults')
  }
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value)
  return settingsFile.parse(isRecord ? value : {})
}

export class SettingsFile {
  readonly #path: string
  #settings: StoredSettings

  constructor(path: string) {
    this.#path = path
    this.#settings = parseSettings(readIfThere(path))
  }

  get settings(): StoredSettings {
    return this.#settings
  }

  set(part: Partial<StoredSettings>): void {
    this.#settings = { ...this.#settings, ...part }
    try {
      mkdirSync(dirname(this.#path), { recursive: true })
      writeFileSync(`${this.#path}.new`, `${JSON.stringify(this.#settings, undefined, 2)}\n`, { mode: 0o600 })
      renameSync(`${this.#path}.new`, this.#path)
    } catch (error) {
      log('warn', 'settings could not be saved', error) // they still hold until the app ends
    }
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') log('warn', 'settings could not be read', error)
    return '{}'
  }
}
