/** The words for tray and notices, from the same catalogue as the window. */
import i18next, { type i18n } from 'i18next'
import { type AppSettings, type Device, type DevicePath, effectiveLanguage } from '../src-contract/app/app-state.ts'
import type { PingAnswer } from '../src-contract/bridge.ts'
import { catalogues } from '../src-contract/text/languages.ts'

export interface Words {
  t(key: string, values?: Record<string, string | number>): string
  latency(ms: number): string
  path(path: Pick<DevicePath, 'kind' | 'relay'> | PingAnswer['via']): string
  compareNames(a: Device, b: Device): number
  compareTexts(a: string, b: string): number
}

export function wordsFor(settings: AppSettings): Words {
  const language = effectiveLanguage(settings)
  const instance: i18n = i18next.createInstance()
  void instance.init({
    lng: language,
    fallbackLng: 'en',
    resources: Object.fromEntries(Object.entries(catalogues).map(([tag, words]) => [tag, { translation: words }])),
    interpolation: { escapeValue: false },
    initAsync: false,
  })
  const collator = new Intl.Collator(language, { numeric: true })
  const t = (key: string, values: Record<string, string | number> = {}) => instance.t(key, values)
  return {
    t,
    latency: (ms) =>
      t('unit.ms', { value: new Intl.NumberFormat(language, { maximumFractionDigits: ms < 10 ? 1 : 0 }).format(ms) }),
    path: (path) => {
      if (path.kind === 'relay' && path.relay !== '') return t('path.relayVia', { region: path.relay })
      return t(path.kind === 'here' || path.kind === 'unknown' ? `ping.${path.kind}` : `path.${path.kind}`)
    },
    compareTexts: (a, b) => collator.compare(a, b),
    compareNames: (a, b) => Number(b.online) - Number(a.online) || collator.compare(a.name, b.name),
  }
}
