/**
 * Headers that tell a proxied program who asks. Whatever a caller sends under these names is taken away first, also in the
 * spelling with underscores, which many programs take for the same. Pure. [docs/rules/serve.md SVE-5]
 */

export interface CallerIdentity {
  readonly loginName: string
  readonly displayName: string
  readonly profilePicUrl: string
}

/** Who asks, and what a proxy says of where a request came from. */
const OURS = /^(tailscale-.*|pintail-.*|x-forwarded-.*|forwarded|x-real-ip)$/
/** Between one hop and the next only. [RFC 9110 §7.6.1] */
const HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** Whether a header is for one hop alone. `named` are those that the message's Connection header names. */
export function isOfOneHop(name: string, named: ReadonlySet<string>): boolean {
  const lower = name.toLowerCase()
  return lower.startsWith(':') || HOP.has(lower) || named.has(lower)
}

/** Whether a header of a request goes on to the program. */
export function passesOn(name: string, named: ReadonlySet<string>): boolean {
  return !isOfOneHop(name, named) && !OURS.test(name.toLowerCase().replaceAll('_', '-'))
}

export function connectionNames(connection: string | undefined): ReadonlySet<string> {
  return new Set((connection ?? '').split(',').map((name) => name.trim().toLowerCase()))
}

/** Nobody is told of tagged machines: they are no person. */
export function identityHeaders(caller: CallerIdentity | undefined): [name: string, value: string][] {
  if (caller === undefined) return []
  return [
    ['Tailscale-User-Login', encodeWords(caller.loginName)],
    ['Tailscale-User-Name', encodeWords(caller.displayName)],
    ...(caller.profilePicUrl === ''
      ? []
      : [['Tailscale-User-Profile-Pic', encodeWords(caller.profilePicUrl)] as [string, string]]),
    ['Tailscale-Headers-Info', 'https://tailscale.com/s/serve-headers'],
  ]
}

const MAX_WORD = 75 - '=?utf-8?q??='.length

/** Text beyond ASCII as encoded words. [RFC 2047 §4.2] */
export function encodeWords(text: string): string {
  if (/^[\x20-\x7e\t]*$/.test(text)) return text
  const words: string[] = ['']
  for (const character of text.toWellFormed()) {
    const encoded = quotedCharacter(character)
    if (words.at(-1)!.length + encoded.length > MAX_WORD) words.push('')
    words[words.length - 1] += encoded
  }
  return words.map((word) => `=?utf-8?q?${word}?=`).join(' ')
}

function quotedCharacter(character: string): string {
  if (character === ' ') return '_'
  if (/[!-~]/.test(character) && !/[=?_]/.test(character)) return character
  const code = character.charCodeAt(0)
  if (code >= 0x80) return encodeURIComponent(character).replaceAll('%', '=')
  return `=${code.toString(16).toUpperCase().padStart(2, '0')}`
}
