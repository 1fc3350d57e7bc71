import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../crypto/node-crypto.ts'
import { concat, fromHex, toBase64, toHex } from './bytes.ts'
import {
  decodeEarlyPayload,
  encodeEarlyPayload,
  encodeErrorFrame,
  errorFrameText,
  type NoiseKeys,
  RecordReader,
  RecordWriter,
  respond,
  startInitiator,
} from './noise.ts'
import { utf8 } from './text.ts'

const clientPrivate = fromHex('101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e6f')
const clientPublic = 'd89e3bad79437dbed9f843418304f460ff05c7fe81fe4a9577a804cb9367ff66'
const serverPrivate = fromHex('505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f')
const serverPublic = fromHex('392d174a38b3b1beafaf1fe824870841c5fa531bc6eafdb6402c124664488c1c')
const clientEphemeral = fromHex('909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadae6f')
const serverEphemeral = fromHex('d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedee6f')
const initiation = fromHex(
  '00910100609fd7ad6dcff4298dd3f96d5b1b2af910a0535b1488d7f8fabb349a982880b615222a13d7d21b08cb9c4c0bcee6719b81b272a0' +
    '4d5c527f47d6cb11b8b5e4f01a4927285684e2bcc322b950a7d3c15b3a0c52ddbc0f327c40e19b071f3fd1d4dd',
)
const reply = fromHex(
  '0200306b3ee67463583cbe3dc08fe9d0765c2666ff5210dd527c9d8705e44927c80d559e886f2bb51ce51899c64016ea963411',
)
const toServer = '26318704c9c52dda0b5d22ce8df69145388e5b58154059fd2837be6ff14da698'
const toClient = '23d76f97c06f0c604faeaefc21daa379c8965797e5bc2d1380e14912c6836c31'
const handshakeHash = 'f06c8b99461922bfb9324a15b4c577acbd465130417a7bd6bf0018853703ff06'

const start = () =>
  startInitiator({
    crypto: nodeCrypto,
    machinePrivate: clientPrivate,
    serverPublic,
    version: 145,
    ephemeral: clientEphemeral,
  })
const answer = (bytes: Uint8Array) =>
  respond({ crypto: nodeCrypto, serverPrivate, initiation: bytes, ephemeral: serverEphemeral })
const hexKeys = (keys: NoiseKeys) => ({
  send: toHex(keys.send),
  receive: toHex(keys.receive),
  handshakeHash: toHex(keys.handshakeHash),
})

describe('handshake', () => {
  test('[CTL-2.4] the initiator makes the known initiation and header value', () => {
    const { message } = start()
    expect(toHex(message)).toBe(toHex(initiation))
    expect(toBase64(message)).toBe(
      'AJEBAGCf161tz/QpjdP5bVsbKvkQoFNbFIjX+Pq7NJqYKIC2FSIqE9fSGwjLnEwLzuZxm4GycqBNXFJ/R9bLEbi15PAaSScoVoTivMMiuVCn08FbOgxS3bwPMnxA4ZsHHz/R1N0=',
    )
  })
  test('[CTL-2.4] the responder makes the known reply, keys and learns who called', () => {
    const accepted = answer(initiation)
    if (!accepted.ok) throw new Error(accepted.reason)
    expect(toHex(accepted.value.reply)).toBe(toHex(reply))
    expect(toHex(accepted.value.machinePublic)).toBe(clientPublic)
    expect(accepted.value.version).toBe(145)
    expect(hexKeys(accepted.value.keys)).toEqual({ send: toClient, receive: toServer, handshakeHash })
  })
  test('[CTL-2.4] the initiator takes the known reply', () => {
    const keys = start().finish(reply)
    if (!keys.ok) throw new Error(keys.reason)
    expect(hexKeys(keys.value)).toEqual({ send: toServer, receive: toClient, handshakeHash })
  })
  test('[CTL-2.4] every changed bit and every cut of either message is refused', () => {
    for (let i = 0; i < initiation.length; i++) {
      const broken = initiation.slice()
      broken[i]! ^= 1
      expect(answer(broken).ok, `initiation byte ${i}`).toBe(false)
      expect(answer(initiation.slice(0, i)).ok).toBe(false)
    }
    for (let i = 0; i < reply.length; i++) {
      const broken = reply.slice()
      broken[i]! ^= 1
      expect(start().finish(broken).ok, `reply byte ${i}`).toBe(false)
      expect(start().finish(reply.slice(0, i)).ok).toBe(false)
    }
    expect(answer(concat(initiation, Uint8Array.of(0))).ok).toBe(false)
    expect(start().finish(concat(reply, Uint8Array.of(0))).ok).toBe(false)
  })
  test('[CTL-2.4] low-order ephemeral keys are refused by both ends', () => {
    const poisoned = initiation.slice()
    poisoned.fill(0, 5, 37)
    expect(answer(poisoned)).toEqual({ ok: false, reason: 'noise-low-order' })
    const poisonedReply = reply.slice()
    poisonedReply.fill(0, 3, 35)
    expect(start().finish(poisonedReply)).toEqual({ ok: false, reason: 'noise-low-order' })
  })
  test('[CTL-2.5] an error frame in place of the reply is a refusal with a readable text', () => {
    const frame = encodeErrorFrame('machine not welcome')
    expect(start().finish(frame)).toEqual({ ok: false, reason: 'noise-refused' })
    expect(errorFrameText(frame)).toBe('machine not welcome')
    for (let i = 0; i < frame.length; i++) expect(errorFrameText(frame.subarray(0, i))).toBeUndefined()
    expect(errorFrameText(concat(Uint8Array.of(3, 0xff, 0xff), new Uint8Array(65_535).fill(0xff)))!.length).toBe(200)
  })
})

describe('records', () => {
  const vectors = [
    [toClient, 'hello', '04001564a66ccc01fc65f68375d88ea0b4ba51f3993d8707'],
    [toClient, 'world', '040015873e255b979ff727c5758cc7985638405b0b358779'],
    [toServer, 'hello', '040015fe3656ee6f496871b6f1332f365adbf8b3f800febe'],
    [toServer, 'world', '04001583f187a8b7bd61ae8c840f899942c562b2cd79287b'],
  ] as const
  test('[CTL-2.6] known records: the counter is big-endian', () => {
    const writers = new Map([toClient, toServer].map((key) => [key, new RecordWriter(nodeCrypto, fromHex(key))]))
    for (const [key, text, hex] of vectors) expect(toHex(writers.get(key)!.seal(utf8(text)))).toBe(hex)
  })
  test('[CTL-2.6] long writes are split at 4077 bytes and read back whatever the slices', () => {
    const text = nodeCrypto.randomBytes(3 * 4077 + 5)
    const wire = new RecordWriter(nodeCrypto, fromHex(toServer)).seal(text)
    expect(wire.length).toBe(text.length + 4 * 19)
    for (const slice of [1, 7, 4096, wire.length]) {
      const reader = new RecordReader(nodeCrypto, fromHex(toServer))
      const parts: Uint8Array[] = []
      for (let at = 0; at < wire.length; at += slice) {
        const read = reader.push(wire.slice(at, at + slice))
        if (!read.ok) throw new Error(read.reason)
        parts.push(...read.value)
      }
      expect(toHex(concat(...parts))).toBe(toHex(text))
    }
  })
  test('[CTL-2.6] an empty record is skipped, an empty write makes none', () => {
    const empty = nodeCrypto.chachaSeal(fromHex(toServer), new Uint8Array(12), new Uint8Array(0), new Uint8Array(0))
    const reader = new RecordReader(nodeCrypto, fromHex(toServer))
    expect(reader.push(concat(Uint8Array.of(4, 0, 16), empty))).toEqual({ ok: true, value: [] })
    expect(new RecordWriter(nodeCrypto, fromHex(toServer)).seal(new Uint8Array(0)).length).toBe(0)
  })
  test('[CTL-2.6] any fault is final', () => {
    const good = fromHex(vectors[2][2])
    const cases: [string, Uint8Array][] = [
      ['noise-type', concat(Uint8Array.of(3), good.subarray(1))],
      ['noise-length', Uint8Array.of(4, 0, 15)],
      ['noise-length', Uint8Array.of(4, 0x0f, 0xfe)],
      ['noise-auth', concat(good.subarray(0, 23), Uint8Array.of(good[23]! ^ 1))],
    ]
    for (const [reason, bytes] of cases) {
      const reader = new RecordReader(nodeCrypto, fromHex(toServer))
      expect(reader.push(bytes)).toEqual({ ok: false, reason })
      expect(reader.push(good)).toEqual({ ok: false, reason })
    }
  })
  test('[CTL-2.6] noise never reads as a record', () => {
    for (let i = 0; i < 300; i++) {
      const reader = new RecordReader(nodeCrypto, fromHex(toServer))
      const junk = nodeCrypto.randomBytes(i)
      if (i > 0) junk[0] = 4
      const read = reader.push(junk)
      if (read.ok) expect(read.value).toEqual([])
    }
  })
})

describe('early payload', () => {
  const payload = { nodeKeyChallenge: `chalpub:${'ab'.repeat(32)}` }
  const wire = encodeEarlyPayload(payload)
  test('[CTL-2.7] layout and round trip, with HTTP/2 behind it', () => {
    expect(toHex(wire.subarray(0, 9))).toBe(`ffffff5453000000${(wire.length - 9).toString(16)}`)
    const read = decodeEarlyPayload(concat(wire, fromHex('000006040000000000')))
    expect(read).toEqual({ ok: true, value: { kind: 'payload', payload, bytes: wire.length } })
  })
  test('[CTL-2.7] incomplete at every cut', () => {
    for (let i = 0; i < wire.length; i++) {
      expect(decodeEarlyPayload(wire.subarray(0, i))).toEqual({ ok: true, value: { kind: 'incomplete' } })
    }
  })
  test('[CTL-2.7] a SETTINGS frame is no payload', () => {
    expect(decodeEarlyPayload(fromHex('000012040000000000'))).toEqual({ ok: true, value: { kind: 'none' } })
    expect(decodeEarlyPayload(fromHex('ffffff5454'))).toEqual({ ok: true, value: { kind: 'none' } })
  })
  test('[CTL-2.7] oversized and damaged payloads are refused', () => {
    expect(decodeEarlyPayload(fromHex('ffffff5453 00a00001'))).toEqual({ ok: false, reason: 'early-size' })
    expect(decodeEarlyPayload(fromHex('ffffff5453 00000001 ff')).ok).toBe(false)
    expect(decodeEarlyPayload(fromHex('ffffff5453 00000002 5b5d')).ok).toBe(false)
    const other = encodeEarlyPayload({ nodeKeyChallenge: 5 as unknown as string })
    expect(decodeEarlyPayload(other)).toMatchObject({ ok: true, value: { payload: {} } })
  })
})
