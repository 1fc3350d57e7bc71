/** What the command line and the environment ask of the app. Unknown words are Chromium's business. */
import { type Language, languages } from '../src-contract/app/app-state.ts'

export interface Flags {
  readonly socketPath: string | undefined
  readonly userDataDir: string | undefined
  readonly isHidden: boolean
  readonly screenshotFile: string | undefined
  readonly language: Language | undefined
  readonly destroyWindowAfterMs: number
}

/** A hidden window gives its renderer back after this. */
export const DESTROY_WINDOW_AFTER_MS = 60_000

export function parseFlags(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Flags {
  const value = (name: string) => {
    const found = argv.findLast((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3)
    return found === '' ? undefined : found
  }
  const language = value('lang')
  const afterMs = Number(value('destroy-window-after-ms'))
  return {
    socketPath: value('socket') ?? (env.PINTAIL_SOCKET || undefined),
    userDataDir: value('user-data-dir'),
    isHidden: argv.includes('--hidden'),
    screenshotFile: value('screenshot'),
    language: languages.find((known) => known.toLowerCase() === language?.toLowerCase()),
    destroyWindowAfterMs: afterMs > 0 ? afterMs : DESTROY_WINDOW_AFTER_MS,
  }
}
