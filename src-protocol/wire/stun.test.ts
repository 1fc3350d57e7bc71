import { describe, expect, test } from 'vitest'
import type { IpPort } from '../../src-contract/ids.ts'
import { concat, fromHex, toHex } from './bytes.ts'
import {
  decodeStunRequest,
  decodeStunResponse,
  encodeStunRequest,
  encodeStunResponse,
  isStun,
  isStunResponse,
} from './stun.ts'

const txId = fromHex('0102030405060708090a0b0c')
const request = '000100142112a4420102030405060708090a0b0c802200087461696c6e6f646580280004b32c370f'
const response = '0101000c2112a4420102030405060708090a0b0c00200008000183bbea12d547'

test('[STUN-1] known answers', () => {
  expect(toHex(encodeStunRequest(txId))).toBe(request)
  expect(toHex(encodeStunResponse(txId, '203.0.113.5:41641' as IpPort))).toBe(response)
  expect(decodeStunRequest(fromHex(request))).toEqual({ ok: true, value: txId })
  expect(decodeStunResponse(fromHex(response))).toEqual({
    ok: true,
    value: { transactionId: txId, mapped: '203.0.113.5:41641' },
  })
})

test('[STUN-2] IPv6 there and back; a v4-mapped answer is IPv4', () => {
  const v6 = encodeStunResponse(txId, '[2001:db8::7]:3' as IpPort)
  expect(v6.length).toBe(44)
  expect(decodeStunResponse(v6)).toEqual({ ok: true, value: { transactionId: txId, mapped: '[2001:db8::7]:3' } })
  const header = fromHex('010100182112a4420102030405060708090a0b0c002000140002')
  const plain = fromHex('00000000000000000000ffffcb007105')
  const xor = plain.map((byte, i) => byte ^ header[4 + i]!)
  expect(decodeStunResponse(concat(header, fromHex('83bb'), xor))).toEqual({
    ok: true,
    value: { transactionId: txId, mapped: '203.0.113.5:41641' },
  })
})

describe('[STUN-3] a server answers only its own question', () => {
  const good = fromHex(request)
  const changed = (at: number) => good.map((byte, i) => (i === at ? byte ^ 1 : byte))
  test.each([
    ['another method', changed(1), 'not-a-request'],
    ['a wrong fingerprint', changed(39), 'fingerprint'],
    ['other software', changed(24), 'software'],
    ['no cookie', changed(4), 'not-stun'],
    ['bytes behind the fingerprint', concat(good, new Uint8Array(4)), 'no-fingerprint'],
  ])('%s', (_, bytes, reason) => expect(decodeStunRequest(bytes)).toEqual({ ok: false, reason }))
  test('every cut is refused', () => {
    for (let length = 0; length < good.length; length++)
      expect(decodeStunRequest(good.subarray(0, length)).ok).toBe(false)
  })
})

describe('[STUN-4] what a client accepts', () => {
  test('surplus bytes are ignored, missing ones are not', () => {
    const bytes = fromHex(response)
    expect(decodeStunResponse(concat(bytes, fromHex('ffff'))).ok).toBe(true)
    for (let length = 0; length < bytes.length; length++)
      expect(decodeStunResponse(bytes.subarray(0, length)).ok).toBe(false)
  })
  test('the draft’s attribute number, and plain MAPPED-ADDRESS as a last resort', () => {
    expect(decodeStunResponse(fromHex(response.replace('00200008', '80200008'))).ok).toBe(true)
    const plain = '0101000c2112a4420102030405060708090a0b0c000100080001a2a9cb007105'
    expect(decodeStunResponse(fromHex(plain))).toMatchObject({ value: { mapped: '203.0.113.5:41641' } })
  })
  test('an answer is told from a request and from noise', () => {
    expect([isStun(fromHex(request)), isStunResponse(fromHex(request)), isStunResponse(fromHex(response))]).toEqual([
      true,
      false,
      true,
    ])
    expect(isStun(fromHex(`04000000${'00'.repeat(40)}`))).toBe(false)
  })
})
