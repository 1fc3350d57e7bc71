/**
 * The two MACs at the end of each handshake message, and the cookies behind the second: a responder under load answers
 * with a cookie bound to the sender's address, and works only for who returns it.                    [WireGuard §5.4.4, §5.4.7]
 *
 * `CookieChecker` is the responder's side, `CookieJar` the sender's, one per peer.
 */
import type { Ms } from '../../../src-contract/ids.ts'
import { isAllZero } from '../../wire/bytes.ts'
import type { Crypto } from '../../wire/crypto.ts'
import { bad, type Decoded, ok } from '../../wire/decoded.ts'
import {
  COOKIE_NONCE_BYTES,
  type CookieReply,
  encodeCookieReply,
  MAC_BYTES,
  macFields,
  senderIndex,
} from '../../wire/wireguard.ts'
import { COOKIE_REFRESH_MS } from './constants.ts'
import type { Identity } from './handshake.ts'

export class CookieChecker {
  readonly #crypto: Crypto
  readonly #own: Identity
  #secret: Uint8Array | undefined
  #secretAt: Ms = 0

  constructor(crypto: Crypto, own: Identity) {
    this.#crypto = crypto
    this.#own = own
  }

  /** Whether the sender knows our static key. The cheapest question, asked of everything. */
  isMac1Valid(message: Uint8Array): boolean {
    const { beforeMac1, mac1 } = macFields(message)
    return this.#crypto.equal(mac1, this.#crypto.macBlake2s(this.#own.mac1Key, beforeMac1, 16))
  }

  /** Whether the sender receives at the address it claims. `address` is any text that stands for it. */
  isMac2Valid(message: Uint8Array, address: Uint8Array, now: Ms): boolean {
    if (this.#secret === undefined || now - this.#secretAt >= COOKIE_REFRESH_MS) return false
    const { beforeMac2, mac2 } = macFields(message)
    if (isAllZero(mac2)) return false // the common case in a flood, and the cheap one
    const cookie = this.#crypto.macBlake2s(this.#secret, address, 16)
    return this.#crypto.equal(mac2, this.#crypto.macBlake2s(cookie, beforeMac2, 16))
  }

  /** 64 bytes, so never more than what it answers. */
  createReply(message: Uint8Array, address: Uint8Array, now: Ms): Uint8Array {
    if (this.#secret === undefined || now - this.#secretAt >= COOKIE_REFRESH_MS) {
      this.#secret = this.#crypto.randomBytes(32)
      this.#secretAt = now
    }
    const cookie = this.#crypto.macBlake2s(this.#secret, address, 16)
    const nonce = this.#crypto.randomBytes(COOKIE_NONCE_BYTES)
    return sealCookie(this.#crypto, this.#own.cookieKey, message, cookie, nonce)
  }
}

export function sealCookie(
  crypto: Crypto,
  key: Uint8Array,
  offendingMessage: Uint8Array,
  cookie: Uint8Array,
  nonce: Uint8Array,
): Uint8Array {
  const { mac1 } = macFields(offendingMessage)
  const sealedCookie = crypto.xchachaSeal(key, nonce, cookie, mac1)
  return encodeCookieReply({ receiver: senderIndex(offendingMessage), nonce, sealedCookie })
}

export class CookieJar {
  #cookie: Uint8Array | undefined
  #cookieAt: Ms = 0
  /** Of the message a cookie reply may still answer. */
  #sent: { readonly mac1: Uint8Array; readonly index: number } | undefined

  /** Writes both MACs into a finished handshake message and remembers it for a cookie reply. */
  sign(crypto: Crypto, receiverMac1Key: Uint8Array, message: Uint8Array, now: Ms): void {
    const fields = macFields(message)
    fields.mac1.set(crypto.macBlake2s(receiverMac1Key, fields.beforeMac1, 16))
    this.#sent = { mac1: fields.mac1.slice(), index: senderIndex(message) }
    if (this.#cookie === undefined) return
    if (now - this.#cookieAt >= COOKIE_REFRESH_MS) this.#cookie = undefined
    else fields.mac2.set(crypto.macBlake2s(this.#cookie, fields.beforeMac2, 16))
  }

  /** Keeps the cookie for what is sent next; nothing is sent again for it. One reply per message counts. */
  take(crypto: Crypto, senderCookieKey: Uint8Array, reply: CookieReply, now: Ms): Decoded<true> {
    if (this.#sent === undefined || this.#sent.index !== reply.receiver) return bad('cookie-unasked')
    const cookie = crypto.xchachaOpen(senderCookieKey, reply.nonce, reply.sealedCookie, this.#sent.mac1)
    if (cookie === undefined || cookie.length !== MAC_BYTES) return bad('cookie-tag')
    this.#cookie = cookie
    this.#cookieAt = now
    this.#sent = undefined
    return ok(true)
  }
}
