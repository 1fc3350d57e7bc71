import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { catalogues, closestLanguage, languageNames } from './languages.ts'

/** Key path → text. */
function flat(words: object, prefix = ''): [string, string][] {
  return Object.entries(words).flatMap(([key, value]): [string, string][] =>
    typeof value === 'string' ? [[prefix + key, value]] : flat(value as object, `${prefix}${key}.`),
  )
}

const english = flat(catalogues.en)
const plainKeys = (words: [string, string][]) => words.map(([key]) => key).filter((key) => !key.endsWith('_one'))
const holes = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name).sort()

test.each(Object.entries(catalogues))('%s has every key, and no other', (_tag, words) => {
  expect(plainKeys(flat(words)).sort()).toEqual(plainKeys(english).sort())
})

test.each(Object.entries(catalogues))('%s fills the same holes, and no text is empty', (_tag, words) => {
  const known = new Map(english)
  for (const [key, text] of flat(words)) {
    expect(text.trim(), key).not.toBe('')
    expect(holes(text), key).toEqual(holes(known.get(key) ?? ''))
  }
})

test('every key that the sources name exists, and every key is named somewhere', () => {
  const root = join(import.meta.dirname, '..', '..')
  const sources = ['src-main', 'src-renderer'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name) && !name.includes('.test.'))
      .map((name) => readFileSync(join(root, folder, name), 'utf8')),
  )
  const text = sources.join('\n')
  const keys = new Set(plainKeys(english).map((key) => key.replace(/_other$/, '')))
  const named = [...text.matchAll(/\bt\(\s*'([\w.-]+)'/g)].map(([, key]) => key ?? '')
  expect(named.filter((key) => !keys.has(key))).toEqual([])
  // `t(`path.${kind}`)` names all keys with its beginning.
  const families = [...text.matchAll(/`(\w+)\.\$\{/g)].map(([, family]) => `${family}.`)
  const unnamed = [...keys].filter(
    (key) => !text.includes(`'${key}'`) && !families.some((family) => key.startsWith(family)),
  )
  expect(unnamed).toEqual([])
})

test('the closest language', () => {
  expect(closestLanguage(['fr-FR', 'zh-Hant-TW', 'en'])).toBe('zh-TW')
  expect(closestLanguage(['en-GB'])).toBe('en')
  expect(closestLanguage([])).toBe('en')
  expect(Object.keys(languageNames).sort()).toEqual(Object.keys(catalogues).sort())
})
