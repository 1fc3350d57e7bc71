/**
 * Which names a dropped file may have, what its unfinished part is called, and what it is called when the name is taken.
 * Not the folder (`src-daemon/io/taildrop`). [features.md §2; docs/rules/taildrop.md TD-1] Pure.
 */
import { bad, type Decoded, ok } from '../../wire/decoded.ts'
import { utf8 } from '../../wire/text.ts'

const MAX_NAME_BYTES = 255
/** What shows: letters, marks, digits, punctuation, symbols, blanks. No controls, no marks that turn the direction of writing. */
const GRAPHIC = /^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]+$/u
/** Separators, and what other systems cannot have in a name. */
const FORBIDDEN = /[/\\:*"<>|]/
const PARTIAL = '.partial'
const DELETED = '.deleted'

export function parseFileName(name: string): Decoded<string> {
  if (name === '' || name === '.' || name === '..') return bad('empty')
  if (!name.isWellFormed()) return bad('not-utf8')
  if (utf8(name).length > MAX_NAME_BYTES) return bad('too-long')
  if (name.trim() !== name) return bad('blank-around')
  if (!GRAPHIC.test(name)) return bad('not-graphic')
  if (FORBIDDEN.test(name)) return bad('forbidden-character')
  if (name.endsWith(PARTIAL) || name.endsWith(DELETED)) return bad('reserved-ending')
  return ok(name)
}

/** From what follows `/v0/put/` in a path. */
export function parseEscapedName(escaped: string): Decoded<string> {
  try {
    return parseFileName(decodeURIComponent(escaped))
  } catch {
    return bad('not-utf8') // or a % with no two digits behind it
  }
}

export function escapeName(name: string): string {
  return encodeURIComponent(name).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

/**
 * Where a file grows until it is whole. A name that leaves no room for the ending goes by its digest.
 * `sender`: the peer's stable id, checked here because it comes from a server.
 */
export function partialName(name: string, sender: string, digestHex: (text: string) => string): string {
  const ending = partialEnding(sender)
  return utf8(name).length + ending.length <= MAX_NAME_BYTES ? name + ending : digestHex(name).slice(0, 32) + ending
}

function partialEnding(sender: string): string {
  return `.${sender.replace(/[^A-Za-z0-9]/g, '_').slice(0, 64)}${PARTIAL}`
}

export function isPartial(name: string): boolean {
  return name.endsWith(PARTIAL)
}

/** The file that this sender has begun, by the name of its part. */
export function nameOfPartial(partial: string, sender: string): string | undefined {
  const ending = partialEnding(sender)
  if (!partial.endsWith(ending)) return undefined
  const name = partial.slice(0, -ending.length)
  return parseFileName(name).ok ? name : undefined
}

/** `photo.tar.gz`, 2 → `photo (2).tar.gz`; 0 is the name itself. */
export function numberedName(name: string, number: number): string {
  if (number === 0) return name
  const at = endingStart(name)
  const room = MAX_NAME_BYTES - utf8(name.slice(at)).length - ` (${number})`.length
  return `${cutToBytes(name.slice(0, at), room)} (${number})${name.slice(at)}`
}

/** Dotted parts of up to seven letters and digits, at least one of them a letter: `.tar.gz` stays together, ` v1.2` does not. */
function endingStart(name: string): number {
  let at = name.length
  for (;;) {
    const part = /\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,7}$/.exec(name.slice(0, at))
    if (part === null || part.index === 0) return at
    at = part.index
  }
}

function cutToBytes(text: string, maxBytes: number): string {
  let cut = text
  while (utf8(cut).length > maxBytes) cut = cut.replace(/.$/su, '')
  return cut
}
