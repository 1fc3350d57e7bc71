/**
 * The AEAD of transport data, ChaCha20-Poly1305 with the counter as nonce, in two ways that must agree: OpenSSL through
 * the addon (reused contexts, no allocation), or node:crypto.
 *
 *   0 4 type = 4 · 4 4 receiver index · 8 8 counter · 16 n+16 AEAD(plaintext)        [WireGuard §5.4.6]
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import type { Addon, AeadHandle } from './addon.ts'

const HEADER_BYTES = 16
const TAG_BYTES = 16
/** Header and tag: what a keepalive is made of. */
export const MIN_TRANSPORT_BYTES = HEADER_BYTES + TAG_BYTES

export interface Aead {
  /** `target` has the header with the counter already, and room for exactly `plain` and tag behind it. */
  seal(plain: Uint8Array, target: Uint8Array): void
  /** Plaintext of a datagram of at least {@link MIN_TRANSPORT_BYTES}, lent until the next call; undefined = forged. */
  open(datagram: Uint8Array): Uint8Array | undefined
}

export type CreateAead = (sendKey: Uint8Array, receiveKey: Uint8Array) => Aead

export interface AeadKind {
  readonly name: string
  readonly create: CreateAead
}

export const nodeAead: AeadKind = {
  name: 'node:crypto',
  create: (sendKey, receiveKey) => new NodeAead(sendKey, receiveKey),
}

/** Undefined where the runtime does not export its OpenSSL. */
export function addonAead(addon: Addon): AeadKind | undefined {
  if (!addon.hasAead()) return undefined
  return { name: 'openssl', create: (sendKey, receiveKey) => new AddonAead(addon, sendKey, receiveKey) }
}

const CIPHER = 'chacha20-poly1305'
const OPTIONS = { authTagLength: TAG_BYTES } as const

class NodeAead implements Aead {
  readonly #sendKey: KeyObject
  readonly #receiveKey: KeyObject
  // createCipheriv reads it at once, so one does.
  readonly #nonce = Buffer.alloc(12)

  constructor(sendKey: Uint8Array, receiveKey: Uint8Array) {
    this.#sendKey = createSecretKey(sendKey)
    this.#receiveKey = createSecretKey(receiveKey)
  }

  seal(plain: Uint8Array, target: Uint8Array): void {
    this.#nonce.set(target.subarray(8, 16), 4)
    const cipher = createCipheriv(CIPHER, this.#sendKey, this.#nonce, OPTIONS)
    if (plain.length > 0) target.set(cipher.update(plain), HEADER_BYTES)
    cipher.final()
    target.set(cipher.getAuthTag(), HEADER_BYTES + plain.length)
  }

  open(datagram: Uint8Array): Uint8Array | undefined {
    this.#nonce.set(datagram.subarray(8, 16), 4)
    const decipher = createDecipheriv(CIPHER, this.#receiveKey, this.#nonce, OPTIONS)
    const end = datagram.length - TAG_BYTES
    decipher.setAuthTag(datagram.subarray(end))
    const plain = decipher.update(datagram.subarray(HEADER_BYTES, end))
    try {
      decipher.final()
    } catch {
      return undefined // the only thing final() throws for here is a wrong tag
    }
    return plain
  }
}

/** Where the addon puts plaintext; the packet path has one thread, and whoever keeps a packet copies it. */
let scratch = new Uint8Array(2048)

class AddonAead implements Aead {
  readonly #addon: Addon
  readonly #handle: AeadHandle

  constructor(addon: Addon, sendKey: Uint8Array, receiveKey: Uint8Array) {
    this.#addon = addon
    this.#handle = addon.createAead(sendKey, receiveKey)
  }

  seal(plain: Uint8Array, target: Uint8Array): void {
    if (!this.#addon.seal(this.#handle, plain, target)) throw new Error('OpenSSL refused to seal')
  }

  open(datagram: Uint8Array): Uint8Array | undefined {
    const length = datagram.length - MIN_TRANSPORT_BYTES
    if (length > scratch.length) scratch = new Uint8Array(length)
    return this.#addon.open(this.#handle, datagram, scratch) ? scratch.subarray(0, length) : undefined
  }
}
