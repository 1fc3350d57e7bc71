/** The catalogues by language tag, and what i18next needs to know of them. */
import type { Language } from '../app/app-state.ts'
import { type Catalogue, en } from './en.ts'
import { zhTw } from './zh-tw.ts'

export const catalogues: { readonly [L in Language]: Catalogue } = { en, 'zh-TW': zhTw }

/** Each language in its own words. */
export const languageNames: { readonly [L in Language]: string } = { en: 'English', 'zh-TW': '繁體中文（台灣）' }

export function closestLanguage(tags: readonly string[]): Language {
  for (const tag of tags) {
    if (/^zh\b/i.test(tag)) return 'zh-TW'
    if (/^en\b/i.test(tag)) return 'en'
  }
  return 'en'
}
