/** UTF-8, strict in the reading direction. */
import { bad, type Decoded, ok } from './decoded.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const lenientDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Lone surrogates become U+FFFD; everything else is exact. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}

export function parseUtf8(bytes: Uint8Array): Decoded<string> {
  try {
    return ok(decoder.decode(bytes))
  } catch {
    return bad('utf8') // the decoder's only way to say that a sequence is invalid
  }
}

/** For showing foreign text to a person: invalid sequences become U+FFFD, at most `maxBytes` bytes are read. */
export function displayText(bytes: Uint8Array, maxBytes: number): string {
  return lenientDecoder.decode(bytes.subarray(0, maxBytes))
}
