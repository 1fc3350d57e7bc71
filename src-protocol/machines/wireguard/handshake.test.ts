import { describe, expect, test } from 'vitest'
import { nodeCrypto as crypto } from '../../crypto/node-crypto.ts'
import { fromHex, toHex } from '../../wire/bytes.ts'
import { decodeCookieReply, macFields } from '../../wire/wireguard.ts'
import { CookieJar, sealCookie } from './cookies.ts'
import {
  cookieKey,
  createIdentity,
  createInitiation,
  createResponse,
  kdf1,
  kdf2,
  kdf3,
  mac1Key,
  openInitiation,
  openResponse,
  type Remote,
  verifyInitiation,
} from './handshake.ts'
import { createTimestamp } from './timestamp.ts'

const initiator = createIdentity(crypto, fromHex('389b2a21d2a88b2b2aa8a024c8ea0ecd614836f4044b94bdef73b2a1632c4d72'))
const responder = createIdentity(crypto, fromHex('68b510ed88a7e978fcdef70d894551ff7ca7dc9ba4ab642e8433448fcd093473'))
const NO_PSK = new Uint8Array(32)
const EI = '68e26918c92648d3215a22da8b2fb15f81badc5bb75bb5b4ecf8a63b09377d7f'
const ER = 'a8402613aac998ce4c075b56a07ee6bdda00fc7a3d1c27580e3fdb92bb6c5342'
const INITIATION = fromHex(`
  0100000044332211033eeb29905683ba2fba4c9d3eef25774a5ace2337e20fe98c72baca85859c50bbe3f90bcb51fb58de41c964fd955a3a
  7ba1a28d322a7931588737ca0c18175a6edbc2b7add9b98e177b1ad0cb60936ca20423f1b7c6a811262258ce5b4ca6b557786c5472fda489
  114bece7976f6bcd5b8b09142232264b3e88672600000000000000000000000000000000`)
const RESPONSE = fromHex(`
  020000008877665544332211601b52f93f13f469545614dcc8593d3f4c199063960282826a5cf0e9b79a9436a186727aaf302ece8c051381
  32241cc00df74ca16eaed38969ad8e87e6639d6f00000000000000000000000000000000`)
const COOKIE_REPLY = fromHex(`
  0300000044332211000102030405060708090a0b0c0d0e0f101112131415161715eb38bf662153442a4870623f69bff0172a3f1513815cbb
  1afa51f734e28451`)
const LOW_ORDER = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
].map(fromHex)

function remote(publicKey: Uint8Array, privateKey: Uint8Array, presharedKey: Uint8Array = NO_PSK): Remote {
  const staticShared = crypto.x25519(privateKey, publicKey)
  if (staticShared === undefined) throw new Error('low order')
  return { publicKey, staticShared, presharedKey }
}
const toResponder = (psk?: Uint8Array) => remote(responder.publicKey, initiator.privateKey, psk)
const toInitiator = (psk?: Uint8Array) => remote(initiator.publicKey, responder.privateKey, psk)
const stamp = createTimestamp(1_700_000_000_123.4568, undefined)

function value<T>(decoded: { ok: true; value: T } | { ok: false; reason: string }): T {
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.value
}

function initiate(psk?: Uint8Array) {
  const fresh = { localIndex: 0x11223344, ephemeralPrivate: fromHex(EI), timestamp: stamp }
  return value(createInitiation(crypto, initiator, toResponder(psk), fresh))
}

function respond(message: Uint8Array, psk?: Uint8Array) {
  const opened = value(openInitiation(crypto, responder, message))
  const verified = value(verifyInitiation(crypto, opened, toInitiator().staticShared))
  const fresh = { localIndex: 0x55667788, ephemeralPrivate: fromHex(ER) }
  return { opened, verified, response: value(createResponse(crypto, verified, toInitiator(psk), fresh)) }
}

describe('[WG-1.2] known answers', () => {
  test('key derivation', () => {
    const key = new TextEncoder().encode('test-key')
    const input = new TextEncoder().encode('test-input')
    const expected = [
      '6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633',
      'df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a',
      'fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24',
    ]
    expect(toHex(kdf1(crypto, key, input))).toBe(expected[0])
    expect(kdf2(crypto, key, input).map(toHex)).toEqual(expected.slice(0, 2))
    expect(kdf3(crypto, key, input).map(toHex)).toEqual(expected)
  })
  test('public keys and timestamp', () => {
    expect(toHex(initiator.publicKey)).toBe('b2d16d3df8bd75a52c10ca6f8a22014fcb291542e102e1ff3f712ade5cefa301')
    expect(toHex(responder.publicKey)).toBe('265aafc920ddb9563c0666fd6b1015a4b06245a2697c54cdac332d5bb16b004a')
    expect(toHex(stamp)).toBe('400000006553f10a07000000')
  })
  test('initiation, MAC1 and MAC2', () => {
    const { message } = initiate()
    const jar = new CookieJar()
    jar.sign(crypto, mac1Key(crypto, responder.publicKey), message, 0)
    expect(toHex(message)).toBe(toHex(INITIATION))
    const reply = value(decodeCookieReply(COOKIE_REPLY))
    expect(jar.take(crypto, cookieKey(crypto, responder.publicKey), reply, 0)).toEqual({ ok: true, value: true })
    jar.sign(crypto, mac1Key(crypto, responder.publicKey), message, 0)
    expect(toHex(macFields(message).mac2)).toBe('3ea23ba85ac2fe437d1fa0681c316b87')
  })
  test('cookie reply', () => {
    const cookie = fromHex('a0a1a2a3a4a5a6a7a8a9aaabacadaeaf')
    const nonce = Uint8Array.from({ length: 24 }, (_, i) => i)
    expect(sealCookie(crypto, responder.cookieKey, INITIATION, cookie, nonce)).toEqual(COOKIE_REPLY)
  })
  test('response and session keys, both ends', () => {
    const { initiated } = initiate()
    const { opened, verified, response } = respond(INITIATION)
    expect(opened.staticPublic).toEqual(initiator.publicKey)
    expect(toHex(verified.timestamp)).toBe('400000006553f10a07000000')
    new CookieJar().sign(crypto, mac1Key(crypto, initiator.publicKey), response.message, 0)
    expect(toHex(response.message)).toBe(toHex(RESPONSE))
    const finished = value(openResponse(crypto, initiator, toResponder(), initiated, RESPONSE))
    const keys = {
      sendKey: fromHex('0f998bee77139ddbb18df822042908cf8a711318e8818271a46418d2c5fcbd28'),
      receiveKey: fromHex('f16ebedbfb0ad0d483b3679d85088d9fb9535b375eb851993d78b06781b53a16'),
    }
    expect({ ...finished, keys: hexKeys(finished.keys) }).toEqual({ remoteIndex: 0x55667788, keys: hexKeys(keys) })
    expect(hexKeys(response.keys)).toEqual(hexKeys({ sendKey: keys.receiveKey, receiveKey: keys.sendKey }))
  })
})

function hexKeys(keys: { sendKey: Uint8Array; receiveKey: Uint8Array }) {
  return { sendKey: toHex(keys.sendKey), receiveKey: toHex(keys.receiveKey) }
}

describe('refusals', () => {
  test('[WG-1.9] every changed byte of an initiation is noticed', () => {
    for (let at = 8; at < 116; at++) {
      const changed = INITIATION.slice()
      changed[at]! ^= at === 39 ? 1 : 0x80 // the top bit of an X25519 key is ignored, but hashed
      const opened = openInitiation(crypto, responder, changed)
      const verified = opened.ok ? verifyInitiation(crypto, opened.value, toInitiator().staticShared) : opened
      expect(verified).toEqual({ ok: false, reason: 'initiation-tag' })
    }
  })
  test('[WG-1.9] every changed byte of a response is noticed, and the right one still works after', () => {
    const { initiated } = initiate()
    for (let at = 12; at < 60; at++) {
      const changed = RESPONSE.slice()
      changed[at]! ^= 0x80
      expect(openResponse(crypto, initiator, toResponder(), initiated, changed)).toEqual({
        ok: false,
        reason: 'response-tag',
      })
    }
    expect(openResponse(crypto, initiator, toResponder(), initiated, RESPONSE).ok).toBe(true)
  })
  test('[WG-1.2] sealed for another responder', () => {
    const other = createIdentity(crypto, crypto.newPrivateKey())
    expect(openInitiation(crypto, other, INITIATION)).toEqual({ ok: false, reason: 'initiation-tag' })
  })
  test('[WG-1.5] an ephemeral of low order', () => {
    for (const point of LOW_ORDER) {
      const first = INITIATION.slice()
      first.set(point, 8)
      expect(openInitiation(crypto, responder, first)).toEqual({ ok: false, reason: 'low-order' })
      const second = RESPONSE.slice()
      second.set(point, 12)
      expect(openResponse(crypto, initiator, toResponder(), initiate().initiated, second)).toEqual({
        ok: false,
        reason: 'low-order',
      })
    }
  })
  test('[WG-1.5] a static key of low order', () => {
    for (const point of LOW_ORDER) {
      const target = { publicKey: point, staticShared: NO_PSK, presharedKey: NO_PSK }
      const fresh = { localIndex: 1, ephemeralPrivate: crypto.newPrivateKey(), timestamp: stamp }
      expect(createInitiation(crypto, initiator, target, fresh)).toEqual({ ok: false, reason: 'low-order' })
    }
  })
  test('[WG-1.12] pre-shared keys must agree', () => {
    const psk = crypto.randomBytes(32)
    const { message, initiated } = initiate(psk)
    const agreed = respond(message, psk).response
    expect(openResponse(crypto, initiator, toResponder(psk), initiated, agreed.message).ok).toBe(true)
    const without = respond(message).response
    expect(openResponse(crypto, initiator, toResponder(psk), initiated, without.message).ok).toBe(false)
  })
  test('cut at every length', () => {
    const { initiated } = initiate()
    for (let length = 0; length < 148; length++) {
      expect(openInitiation(crypto, responder, INITIATION.subarray(0, length)).ok).toBe(false)
      expect(openResponse(crypto, initiator, toResponder(), initiated, INITIATION.subarray(0, length)).ok).toBe(false)
    }
  })
})
