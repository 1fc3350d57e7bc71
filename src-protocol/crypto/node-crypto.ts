/**
 * The cryptography of all our protocols on plain Node: OpenSSL for X25519, ChaCha20-Poly1305, BLAKE2s and HMAC; the
 * audited noble libraries for what OpenSSL lacks (keyed BLAKE2s, XChaCha20, the NaCl box). Electron's BoringSSL has no
 * BLAKE2s, so this file belongs to daemon, server and tools, never to the app.            [control.md §2.8]
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa.js'
import { blake2s as nobleBlake2s } from '@noble/hashes/blake2.js'
import type { Crypto } from '../wire/crypto.ts'

const KEY_BYTES = 32
const TAG_BYTES = 16
/** A PKCS #8 document around 32 raw private bytes, and a SubjectPublicKeyInfo around 32 public ones. [RFC 8410] */
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI_X25519 = Buffer.from('302a300506032b656e032100', 'hex')

export const nodeCrypto: Crypto = {
  randomBytes: (length) => plain(randomBytes(length)),

  x25519(privateKey, publicKey) {
    const pair = { privateKey: privateObject(privateKey), publicKey: publicObject(publicKey) }
    try {
      const shared = diffieHellman(pair)
      return shared.every((byte) => byte === 0) ? undefined : plain(shared)
    } catch {
      return undefined // OpenSSL refuses to derive from a low-order point
    }
  },

  x25519PublicKey(privateKey) {
    const spki = createPublicKey(privateObject(privateKey)).export({ format: 'der', type: 'spki' })
    return Uint8Array.from(spki.subarray(SPKI_X25519.length))
  },

  newPrivateKey() {
    const key = plain(randomBytes(KEY_BYTES))
    key[0]! &= 248
    key[31] = (key[31]! & 127) | 64
    return key
  },

  blake2s(...parts) {
    const hash = createHash('blake2s256')
    for (const part of parts) hash.update(part)
    return plain(hash.digest())
  },

  hmacBlake2s(key, ...parts) {
    const hmac = createHmac('blake2s256', key)
    for (const part of parts) hmac.update(part)
    return plain(hmac.digest())
  },

  macBlake2s: (key, data, size) => nobleBlake2s(data, { key, dkLen: size }),

  chachaSeal(key, nonce, plaintext, ad) {
    const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(ad, { plaintextLength: plaintext.length })
    const sealed = new Uint8Array(plaintext.length + TAG_BYTES)
    if (plaintext.length > 0) sealed.set(cipher.update(plaintext))
    cipher.final()
    sealed.set(cipher.getAuthTag(), plaintext.length)
    return sealed
  },

  chachaOpen(key, nonce, sealed, ad) {
    if (sealed.length < TAG_BYTES) return undefined
    const length = sealed.length - TAG_BYTES
    const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(ad, { plaintextLength: length })
    decipher.setAuthTag(sealed.subarray(length))
    const plaintext = length > 0 ? plain(decipher.update(sealed.subarray(0, length))) : new Uint8Array(0)
    try {
      decipher.final()
      return plaintext
    } catch {
      return undefined // the tag does not match
    }
  },

  xchachaSeal: (key, nonce, plaintext, ad) => xchacha20poly1305(key, nonce, ad).encrypt(plaintext),
  xchachaOpen: (key, nonce, sealed, ad) => open(sealed, () => xchacha20poly1305(key, nonce, ad).decrypt(sealed)),

  boxSharedKey(privateKey, publicKey) {
    const shared = nodeCrypto.x25519(privateKey, publicKey)
    return shared === undefined ? undefined : hsalsa20(shared)
  },
  boxSeal: (sharedKey, nonce, plaintext) => xsalsa20poly1305(sharedKey, nonce).encrypt(plaintext),
  boxOpen: (sharedKey, nonce, sealed) => open(sealed, () => xsalsa20poly1305(sharedKey, nonce).decrypt(sealed)),

  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
}

/** noble throws on a wrong tag. */
function open(sealed: Uint8Array, decrypt: () => Uint8Array): Uint8Array | undefined {
  if (sealed.length < TAG_BYTES) return undefined
  try {
    return decrypt()
  } catch {
    return undefined // the tag does not match
  }
}

const SIGMA = new Uint32Array([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]) // "expand 32-byte k"

/** HSalsa20 of a key under the zero nonce: how NaCl turns a Diffie-Hellman result into a cipher key. */
function hsalsa20(key: Uint8Array): Uint8Array {
  const words = new Uint32Array(Uint8Array.from(key).buffer)
  const out = new Uint32Array(8)
  hsalsa(SIGMA, words, new Uint32Array(4), out)
  return new Uint8Array(out.buffer)
}

function privateObject(raw: Uint8Array): KeyObject {
  if (raw.length !== KEY_BYTES) throw new RangeError('an X25519 private key has 32 bytes')
  return createPrivateKey({ key: Buffer.concat([PKCS8_X25519, raw]), format: 'der', type: 'pkcs8' })
}

function publicObject(raw: Uint8Array): KeyObject {
  if (raw.length !== KEY_BYTES) throw new RangeError('an X25519 public key has 32 bytes')
  return createPublicKey({ key: Buffer.concat([SPKI_X25519, raw]), format: 'der', type: 'spki' })
}

/** Node's Buffers are Uint8Arrays with other `slice` and `toString`; ours are plain, without copying. */
function plain(buffer: Buffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.length)
}
