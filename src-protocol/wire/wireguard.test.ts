import { describe, expect, test } from 'vitest'
import { concat, fromHex, toHex } from './bytes.ts'
import {
  decodeCookieReply,
  decodeInitiation,
  decodeResponse,
  decodeTransportHeader,
  encodeCookieReply,
  encodeInitiation,
  encodeResponse,
  encodeTransportHeader,
  macFields,
  messageType,
  senderIndex,
  transportNonce,
} from './wireguard.ts'

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
const KEEPALIVE = fromHex('04000000887766550000000000000000002fbf4fa9c54bfb0b0bbd8f66a18980')

describe('known messages', () => {
  test('[WG-1.1] initiation', () => {
    const decoded = decodeInitiation(INITIATION)
    if (!decoded.ok) throw new Error(decoded.reason)
    expect(decoded.value.sender).toBe(0x11223344)
    expect(toHex(decoded.value.ephemeral.subarray(0, 4))).toBe('033eeb29')
    expect([decoded.value.sealedStatic.length, decoded.value.sealedTimestamp.length]).toEqual([48, 28])
    const again = encodeInitiation(decoded.value)
    macFields(again).mac1.set(macFields(INITIATION).mac1)
    expect(again).toEqual(INITIATION)
  })
  test('[WG-1.1] response', () => {
    const decoded = decodeResponse(RESPONSE)
    if (!decoded.ok) throw new Error(decoded.reason)
    expect([decoded.value.sender, decoded.value.receiver]).toEqual([0x55667788, 0x11223344])
    expect(decoded.value.sealedNothing.length).toBe(16)
    const again = encodeResponse(decoded.value)
    macFields(again).mac1.set(macFields(RESPONSE).mac1)
    expect(again).toEqual(RESPONSE)
    expect(senderIndex(RESPONSE)).toBe(0x55667788)
  })
  test('[WG-1.1] cookie reply', () => {
    const decoded = decodeCookieReply(COOKIE_REPLY)
    if (!decoded.ok) throw new Error(decoded.reason)
    expect(decoded.value.receiver).toBe(0x11223344)
    expect([decoded.value.nonce.length, decoded.value.sealedCookie.length]).toEqual([24, 32])
    expect(encodeCookieReply(decoded.value)).toEqual(COOKIE_REPLY)
  })
  test('[WG-1.1] keepalive', () => {
    expect(decodeTransportHeader(KEEPALIVE)).toEqual({ ok: true, value: { receiver: 0x55667788, counter: 0 } })
    expect(encodeTransportHeader({ receiver: 0x55667788, counter: 0 })).toEqual(KEEPALIVE.subarray(0, 16))
  })
})

describe('refusals', () => {
  const messages = { initiation: INITIATION, response: RESPONSE, cookie: COOKIE_REPLY }
  for (const [name, message] of Object.entries(messages)) {
    test(`[WG-1.1] ${name}: cut at every length, longer, other reserved bytes`, () => {
      for (let length = 0; length < message.length; length++) expect(messageType(message.subarray(0, length))).toBe(0)
      expect(messageType(concat(message, new Uint8Array(1)))).toBe(0)
      for (const reserved of [1, 2, 3]) {
        const changed = message.slice()
        changed[reserved] = 1
        expect(messageType(changed)).toBe(0)
      }
      const padded = concat(new Uint8Array(3), message, new Uint8Array(3)).subarray(3, 3 + message.length)
      expect(messageType(padded)).toBe(message[0])
    })
  }
  test('[WG-1.1] transport: cut at every length, every larger size is one', () => {
    for (let length = 0; length < 32; length++) expect(messageType(KEEPALIVE.subarray(0, length))).toBe(0)
    for (const more of [1, 60, 116, 65_503]) expect(messageType(concat(KEEPALIVE, new Uint8Array(more)))).toBe(4)
  })
  test('[WG-1.1] other types and the one-byte tail', () => {
    for (const type of [0, 5, 6, 255]) {
      const message = INITIATION.slice()
      message[0] = type
      expect(messageType(message)).toBe(0)
    }
    expect(messageType(Uint8Array.of(7))).toBe(0)
  })
  test('[WG-1.1] a decoder refuses the other types', () => {
    const decoders = [decodeInitiation, decodeResponse, decodeCookieReply, decodeTransportHeader]
    const all = [INITIATION, RESPONSE, COOKIE_REPLY, KEEPALIVE]
    for (const [i, decode] of decoders.entries()) {
      expect(all.map((message) => decode(message).ok)).toEqual(all.map((_, j) => i === j))
    }
  })
})

describe('counters', () => {
  test('[WG-5.2] exact up to 2^53 − 1, refused beyond', () => {
    for (const counter of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      const message = concat(encodeTransportHeader({ receiver: 0xffffffff, counter }), new Uint8Array(16))
      expect(decodeTransportHeader(message)).toEqual({ ok: true, value: { receiver: 0xffffffff, counter } })
    }
    for (const high of ['00002000', 'ffffffff']) {
      const message = concat(fromHex(`04000000 01000000 00000000 ${high}`), new Uint8Array(16))
      expect(decodeTransportHeader(message)).toEqual({ ok: false, reason: 'counter-range' })
    }
  })
  test('[WG-1.2] the nonce is four zeros and the counter', () => {
    expect(toHex(transportNonce(0x1_0203_0405))).toBe('000000000504030201000000')
  })
})
