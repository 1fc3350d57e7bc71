/**
 * Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s: the four steps of a handshake as functions from keys and a message to the next
 * state. No clock, no peers, no retries, and no MACs: those are `device.ts`, `peer.ts` and `cookies.ts`.  [WireGuard §5.4]
 *
 * ck is Noise's chaining key, h its hash; E and S are ephemeral and static keys, i and r initiator and responder.
 */
import { fromHex } from '../../wire/bytes.ts'
import type { Crypto } from '../../wire/crypto.ts'
import { bad, type Decoded, ok } from '../../wire/decoded.ts'
import { utf8 } from '../../wire/text.ts'
import {
  decodeInitiation,
  decodeResponse,
  encodeInitiation,
  encodeResponse,
  type Initiation,
} from '../../wire/wireguard.ts'

/** H("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"). */
const INITIAL_CHAINING_KEY = fromHex('60e26dae f327efc0 2ec335e2 a025d2d0 16eb4206 f87277f5 2d38d198 8b78cd36')
/** H(ck ‖ "WireGuard v1 zx2c4 Jason@zx2c4.com"). */
const INITIAL_HASH = fromHex('2211b361 081ac566 691243db 458ad532 2d9c6c66 2293e8b7 0ee19c65 ba079ef3')
const LABEL_MAC1 = utf8('mac1----')
const LABEL_COOKIE = utf8('cookie--')
const ZERO_NONCE = new Uint8Array(12)
const NOTHING = new Uint8Array(0)
const ONE = Uint8Array.of(1)
const TWO = Uint8Array.of(2)
const THREE = Uint8Array.of(3)

/** Our static key pair and what follows from it alone. */
export interface Identity {
  readonly privateKey: Uint8Array
  readonly publicKey: Uint8Array
  readonly mac1Key: Uint8Array
  readonly cookieKey: Uint8Array
}

export function createIdentity(crypto: Crypto, privateKey: Uint8Array): Identity {
  const publicKey = crypto.x25519PublicKey(privateKey)
  return {
    privateKey: privateKey.slice(),
    publicKey,
    mac1Key: mac1Key(crypto, publicKey),
    cookieKey: cookieKey(crypto, publicKey),
  }
}

/** The key of MAC1 in messages to the holder of this static key. */
export function mac1Key(crypto: Crypto, receiverPublic: Uint8Array): Uint8Array {
  return crypto.blake2s(LABEL_MAC1, receiverPublic)
}

/** The key of cookie replies by the holder of this static key. */
export function cookieKey(crypto: Crypto, senderPublic: Uint8Array): Uint8Array {
  return crypto.blake2s(LABEL_COOKIE, senderPublic)
}

export function kdf1(crypto: Crypto, key: Uint8Array, input: Uint8Array): Uint8Array {
  return crypto.hmacBlake2s(crypto.hmacBlake2s(key, input), ONE)
}

export function kdf2(crypto: Crypto, key: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array] {
  const secret = crypto.hmacBlake2s(key, input)
  const first = crypto.hmacBlake2s(secret, ONE)
  return [first, crypto.hmacBlake2s(secret, first, TWO)]
}

export function kdf3(crypto: Crypto, key: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array, Uint8Array] {
  const secret = crypto.hmacBlake2s(key, input)
  const first = crypto.hmacBlake2s(secret, ONE)
  const second = crypto.hmacBlake2s(secret, first, TWO)
  return [first, second, crypto.hmacBlake2s(secret, second, THREE)]
}

/** The other end as a handshake needs it. */
export interface Remote {
  readonly publicKey: Uint8Array
  /** DH(own static, its static); the same for each handshake, so worth keeping. */
  readonly staticShared: Uint8Array
  readonly presharedKey: Uint8Array
}

/** What the initiator remembers until the response. */
export interface Initiated {
  readonly localIndex: number
  readonly ephemeralPrivate: Uint8Array
  readonly chainingKey: Uint8Array
  readonly hash: Uint8Array
}

export interface SessionKeys {
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
}

/** Steps 1–4 as initiator. Fails only when the other end's static key is of low order. */
export function createInitiation(
  crypto: Crypto,
  own: Identity,
  remote: Remote,
  fresh: { readonly localIndex: number; readonly ephemeralPrivate: Uint8Array; readonly timestamp: Uint8Array },
): Decoded<{ readonly message: Uint8Array; readonly initiated: Initiated }> {
  const ephemeral = crypto.x25519PublicKey(fresh.ephemeralPrivate)
  const ephemeralStatic = crypto.x25519(fresh.ephemeralPrivate, remote.publicKey)
  if (ephemeralStatic === undefined) return bad('low-order')
  let hash = crypto.blake2s(INITIAL_HASH, remote.publicKey)
  const ck1 = kdf1(crypto, INITIAL_CHAINING_KEY, ephemeral)
  hash = crypto.blake2s(hash, ephemeral)
  const [ck2, staticSealKey] = kdf2(crypto, ck1, ephemeralStatic)
  const sealedStatic = crypto.chachaSeal(staticSealKey, ZERO_NONCE, own.publicKey, hash)
  hash = crypto.blake2s(hash, sealedStatic)
  const [chainingKey, timestampSealKey] = kdf2(crypto, ck2, remote.staticShared)
  const sealedTimestamp = crypto.chachaSeal(timestampSealKey, ZERO_NONCE, fresh.timestamp, hash)
  hash = crypto.blake2s(hash, sealedTimestamp)
  wipe(ephemeralStatic, ck1, ck2, staticSealKey, timestampSealKey)
  return ok({
    message: encodeInitiation({ sender: fresh.localIndex, ephemeral, sealedStatic, sealedTimestamp }),
    initiated: { localIndex: fresh.localIndex, ephemeralPrivate: fresh.ephemeralPrivate, chainingKey, hash },
  })
}

/** An initiation of which we know who claims to have sent it; not yet that it did. */
export interface OpenedInitiation {
  readonly initiation: Initiation
  readonly staticPublic: Uint8Array
  readonly chainingKey: Uint8Array
  readonly hash: Uint8Array
}

/** Steps 1–3 as responder. */
export function openInitiation(crypto: Crypto, own: Identity, message: Uint8Array): Decoded<OpenedInitiation> {
  const decoded = decodeInitiation(message)
  if (!decoded.ok) return decoded
  const initiation = decoded.value
  const staticEphemeral = crypto.x25519(own.privateKey, initiation.ephemeral)
  if (staticEphemeral === undefined) return bad('low-order')
  let hash = crypto.blake2s(INITIAL_HASH, own.publicKey)
  const ck1 = kdf1(crypto, INITIAL_CHAINING_KEY, initiation.ephemeral)
  hash = crypto.blake2s(hash, initiation.ephemeral)
  const [chainingKey, sealKey] = kdf2(crypto, ck1, staticEphemeral)
  const staticPublic = crypto.chachaOpen(sealKey, ZERO_NONCE, initiation.sealedStatic, hash)
  wipe(staticEphemeral, ck1, sealKey)
  if (staticPublic === undefined) return bad('initiation-tag')
  return ok({ initiation, staticPublic, chainingKey, hash: crypto.blake2s(hash, initiation.sealedStatic) })
}

/** An initiation proven to come from the holder of its static key; whether it is a replay, its timestamp tells. */
export interface VerifiedInitiation {
  readonly timestamp: Uint8Array
  readonly remoteIndex: number
  readonly remoteEphemeral: Uint8Array
  readonly chainingKey: Uint8Array
  readonly hash: Uint8Array
}

/** Step 4 as responder. */
export function verifyInitiation(
  crypto: Crypto,
  opened: OpenedInitiation,
  staticShared: Uint8Array,
): Decoded<VerifiedInitiation> {
  const { initiation } = opened
  const [chainingKey, sealKey] = kdf2(crypto, opened.chainingKey, staticShared)
  const timestamp = crypto.chachaOpen(sealKey, ZERO_NONCE, initiation.sealedTimestamp, opened.hash)
  wipe(sealKey, opened.chainingKey)
  if (timestamp === undefined) return bad('initiation-tag')
  return ok({
    timestamp,
    remoteIndex: initiation.sender,
    remoteEphemeral: initiation.ephemeral,
    chainingKey,
    hash: crypto.blake2s(opened.hash, initiation.sealedTimestamp),
  })
}

/** Steps 5–7 as responder, and the session's keys. */
export function createResponse(
  crypto: Crypto,
  verified: VerifiedInitiation,
  remote: Remote,
  fresh: { readonly localIndex: number; readonly ephemeralPrivate: Uint8Array },
): Decoded<{ readonly message: Uint8Array; readonly keys: SessionKeys }> {
  const ephemeral = crypto.x25519PublicKey(fresh.ephemeralPrivate)
  const ephemerals = crypto.x25519(fresh.ephemeralPrivate, verified.remoteEphemeral)
  const ephemeralStatic = crypto.x25519(fresh.ephemeralPrivate, remote.publicKey)
  wipe(fresh.ephemeralPrivate)
  if (ephemerals === undefined || ephemeralStatic === undefined) return bad('low-order')
  const mixed = mixResponse(crypto, verified, { ephemeral, ephemerals, ephemeralStatic }, remote.presharedKey)
  const sealedNothing = crypto.chachaSeal(mixed.sealKey, ZERO_NONCE, NOTHING, mixed.hash)
  const [toResponder, toInitiator] = kdf2(crypto, mixed.chainingKey, NOTHING)
  wipe(ephemerals, ephemeralStatic, verified.chainingKey, mixed.chainingKey, mixed.sealKey)
  return ok({
    message: encodeResponse({ sender: fresh.localIndex, receiver: verified.remoteIndex, ephemeral, sealedNothing }),
    keys: { sendKey: toInitiator, receiveKey: toResponder },
  })
}

/** Steps 5–7 as initiator. On failure `initiated` is untouched: a forged response must not end the handshake. */
export function openResponse(
  crypto: Crypto,
  own: Identity,
  remote: Remote,
  initiated: Initiated,
  message: Uint8Array,
): Decoded<{ readonly remoteIndex: number; readonly keys: SessionKeys }> {
  const decoded = decodeResponse(message)
  if (!decoded.ok) return decoded
  const response = decoded.value
  const ephemerals = crypto.x25519(initiated.ephemeralPrivate, response.ephemeral)
  const ephemeralStatic = crypto.x25519(own.privateKey, response.ephemeral)
  if (ephemerals === undefined || ephemeralStatic === undefined) return bad('low-order')
  const shares = { ephemeral: response.ephemeral, ephemerals, ephemeralStatic }
  const mixed = mixResponse(crypto, initiated, shares, remote.presharedKey)
  const nothing = crypto.chachaOpen(mixed.sealKey, ZERO_NONCE, response.sealedNothing, mixed.hash)
  const [toResponder, toInitiator] = kdf2(crypto, mixed.chainingKey, NOTHING)
  wipe(ephemerals, ephemeralStatic, mixed.chainingKey, mixed.sealKey)
  if (nothing === undefined) return bad('response-tag')
  return ok({ remoteIndex: response.sender, keys: { sendKey: toResponder, receiveKey: toInitiator } })
}

/** The part of steps 5–7 that both ends compute alike. */
function mixResponse(
  crypto: Crypto,
  state: { readonly chainingKey: Uint8Array; readonly hash: Uint8Array },
  shares: { readonly ephemeral: Uint8Array; readonly ephemerals: Uint8Array; readonly ephemeralStatic: Uint8Array },
  presharedKey: Uint8Array,
): { readonly chainingKey: Uint8Array; readonly sealKey: Uint8Array; readonly hash: Uint8Array } {
  const ck1 = kdf1(crypto, state.chainingKey, shares.ephemeral)
  const ck2 = kdf1(crypto, ck1, shares.ephemerals)
  const ck3 = kdf1(crypto, ck2, shares.ephemeralStatic)
  const [chainingKey, tau, sealKey] = kdf3(crypto, ck3, presharedKey)
  const hash = crypto.blake2s(crypto.blake2s(state.hash, shares.ephemeral), tau)
  wipe(ck1, ck2, ck3, tau)
  return { chainingKey, sealKey, hash }
}

export function wipeInitiated(initiated: Initiated): void {
  wipe(initiated.ephemeralPrivate, initiated.chainingKey, initiated.hash)
}

/** As far as JavaScript allows: the runtime may have copied them. */
export function wipe(...secrets: Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0)
}
