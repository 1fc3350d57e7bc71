/** Words of the page: i18next on the shared catalogues, and the formats that go with a language. */
import i18next from 'i18next'
import { initReactI18next, useTranslation } from 'react-i18next'
import type { DevicePath, Language } from '../../src-contract/app/app-state.ts'
import type { PingAnswer } from '../../src-contract/bridge.ts'
import type { en } from '../../src-contract/text/en.ts'
import { catalogues } from '../../src-contract/text/languages.ts'

declare module 'i18next' {
  interface CustomTypeOptions {
    resources: { translation: typeof en }
  }
}

export async function startText(language: Language): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: language,
    fallbackLng: 'en',
    resources: Object.fromEntries(Object.entries(catalogues).map(([tag, words]) => [tag, { translation: words }])),
    interpolation: { escapeValue: false },
  })
  document.documentElement.lang = language
}

export async function setLanguage(language: Language): Promise<void> {
  if (i18next.language === language) return
  await i18next.changeLanguage(language)
  document.documentElement.lang = language
}

export function useText() {
  const { t, i18n } = useTranslation()
  const language = i18n.language
  return {
    t,
    language,
    latency: (ms: number) => t('unit.ms', { value: formatNumber(language, ms, ms < 10 ? 1 : 0) }),
    date: (time: string) => dateFormat(language).format(new Date(time)),
    kilometres: (km: number) => kilometreFormat(language).format(km),
    clock: (ms: number) => clockFormat(language).format(new Date(ms)),
    ago: (time: string) => relativeTime(language, Date.parse(time) - Date.now()),
    path: (path: Pick<DevicePath, 'kind' | 'relay'> | PingAnswer['via']): string => {
      if (path.kind === 'relay' && path.relay !== '') return t('path.relayVia', { region: path.relay })
      return path.kind === 'here' || path.kind === 'unknown' ? t(`ping.${path.kind}`) : t(`path.${path.kind}`)
    },
  }
}

const memo = <T>(make: (language: string) => T) => {
  const known = new Map<string, T>()
  return (language: string): T => {
    const there = known.get(language)
    if (there !== undefined) return there
    const made = make(language)
    known.set(language, made)
    return made
  }
}

const dateFormat = memo((language) => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }))
const clockFormat = memo((language) => new Intl.DateTimeFormat(language, { timeStyle: 'short' }))
const kilometreFormat = memo(
  (language) => new Intl.NumberFormat(language, { style: 'unit', unit: 'kilometer', maximumFractionDigits: 0 }),
)
const agoFormat = memo((language) => new Intl.RelativeTimeFormat(language, { numeric: 'auto' }))
const collator = memo((language) => new Intl.Collator(language, { numeric: true }))

export const nameCollator = collator

const regionNames = memo((language) => new Intl.DisplayNames(language, { type: 'region', fallback: 'none' }))

/** By ISO code; "" for what is no country. */
export const countryNames = memo((language) => (code: string) => {
  if (!/^[A-Z]{2}$/.test(code)) return ''
  return regionNames(language).of(code) ?? ''
})

function formatNumber(language: string, value: number, maximumFractionDigits: number): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits }).format(value)
}

const steps: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000_000],
  ['month', 2_592_000_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
]

export function relativeTime(language: string, deltaMs: number): string {
  for (const [unit, sizeMs] of steps)
    if (Math.abs(deltaMs) >= sizeMs) return agoFormat(language).format(Math.trunc(deltaMs / sizeMs), unit)
  return agoFormat(language).format(0, 'minute')
}
