/**
 * Browsers of whoever runs the command that are set to ask one provider over HTTPS and nobody else: names of this network
 * do not open in them, and no question of theirs ever arrives, so their own settings are the only place to see it. Reads
 * what they write into the home folder; a browser that only prefers a provider falls back to the system and is left out.
 */
import { join } from 'node:path'

export interface StubbornBrowser {
  readonly browser: string
  /** The file that says so. */
  readonly file: string
  /** Whom it asks, in its own words; "" when it does not say. */
  readonly provider: string
  readonly mend: string
}

type Read = (path: string) => Promise<string>

const FIREFOX = [
  '.mozilla/firefox',
  'snap/firefox/common/.mozilla/firefox',
  '.var/app/org.mozilla.firefox/.mozilla/firefox',
  'Library/Application Support/Firefox',
]
const CHROMIUM = [
  ['Chrome', '.config/google-chrome'],
  ['Chromium', '.config/chromium'],
  ['Chromium', 'snap/chromium/common/chromium'],
  ['Edge', '.config/microsoft-edge'],
  ['Brave', '.config/BraveSoftware/Brave-Browser'],
  ['Vivaldi', '.config/vivaldi'],
  ['Chrome', 'Library/Application Support/Google/Chrome'],
  ['Edge', 'Library/Application Support/Microsoft Edge'],
  ['Brave', 'Library/Application Support/BraveSoftware/Brave-Browser'],
] as const
const MAX_PROFILES = 20
const MAX_CHARACTERS = 16 << 20
/** "Max Protection". */
const FIREFOX_ONLY = 3

export async function stubbornBrowsers(home: string, domain: string, read: Read): Promise<StubbornBrowser[]> {
  const text = async (path: string): Promise<string> => {
    const found = await read(path).catch(() => '') // most people have one browser, and others' homes are others'
    return found.length > MAX_CHARACTERS ? '' : found
  }
  const found: StubbornBrowser[] = []
  for (const folder of FIREFOX) {
    for (const profile of firefoxProfiles(await text(join(home, folder, 'profiles.ini')))) {
      const file = join(home, folder, profile, 'prefs.js')
      const provider = firefoxProvider(await text(file), domain)
      const mend = `Settings > Privacy & Security > DNS over HTTPS: choose another level, or add ${domain} as an exception`
      if (provider !== undefined) found.push({ browser: 'Firefox', file, provider, mend })
    }
  }
  for (const [browser, folder] of CHROMIUM) {
    const file = join(home, folder, 'Local State')
    const provider = chromiumProvider(await text(file))
    const mend = 'Settings > Privacy and security > Security > Use secure DNS: off, or the current service provider'
    if (provider !== undefined) found.push({ browser, file, provider, mend })
  }
  return found
}

/** Folders below the one of `profiles.ini`; what leads elsewhere is left out. */
export function firefoxProfiles(ini: string): string[] {
  const paths = [...ini.matchAll(/^Path=(.+?)\r?$/gm)].map(([, path]) => path!)
  const isBelow = (path: string): boolean => !path.startsWith('/') && !path.split('/').includes('..')
  return [...new Set(paths.filter(isBelow))].slice(0, MAX_PROFILES)
}

/** Undefined: it asks the system, or asks it when its provider knows nothing. */
export function firefoxProvider(prefs: string, domain: string): string | undefined {
  const value = (name: string): unknown => {
    const escaped = name.replaceAll('.', '\\.')
    const line = new RegExp(`^user_pref\\("${escaped}", (.{1,4000})\\);\\r?$`, 'm').exec(prefs)
    try {
      return line === null ? undefined : (JSON.parse(line[1]!) as unknown)
    } catch {
      return undefined // not a value, then
    }
  }
  if (value('network.trr.mode') !== FIREFOX_ONLY) return undefined
  const excluded = value('network.trr.excluded-domains')
  const exceptions = typeof excluded === 'string' ? excluded.split(',').map((one) => one.trim().toLowerCase()) : []
  if (exceptions.some((one) => one !== '' && (domain === one || domain.endsWith(`.${one}`)))) return undefined
  const uri = value('network.trr.uri')
  return typeof uri === 'string' ? uri : ''
}

/** Undefined: as with Firefox. */
export function chromiumProvider(localState: string): string | undefined {
  try {
    const state = JSON.parse(localState) as { dns_over_https?: { mode?: unknown; templates?: unknown } } | null
    const setting = state?.dns_over_https
    if (setting?.mode !== 'secure') return undefined
    return typeof setting.templates === 'string' ? setting.templates : ''
  } catch {
    return undefined // no such browser, or being written just now
  }
}
