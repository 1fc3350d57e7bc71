import { describe, expect, test } from 'vitest'
import { nodeCrypto as crypto } from '../crypto/node-crypto.ts'
import { concat, fromHex, toHex } from './bytes.ts'
import {
  decodeClientInfo,
  decodePacket,
  decodePeerGone,
  decodeRestarting,
  decodeServerInfo,
  decodeServerKey,
  encodeClientInfo,
  encodeFrame,
  encodeNotePreferred,
  encodePeerGone,
  encodeSendPacket,
  encodeServerInfo,
  encodeServerKey,
  FRAME,
  FrameReader,
  MAX_FRAME_BYTES,
  PEER_GONE,
} from './derp.ts'

const serverPrivate = fromHex('905844eb8820c577c62198093657ff123a98831976946c66e22b15fcb7168f4d')
const serverPublic = fromHex('1a58a200af0a73128b72d7e8e3a8eaf626199889414fa8dd29227bc762272605')
const nodePrivate = fromHex('60570ff05a2074043084d4aca94293ef067530dde94ff4e92b8d8459253eb779')
const nodePublic = fromHex('af990d7d102a893b663ee239a318e9340905c749ea133e73b63bd5d5ea8fb95a')
const nonce = fromHex('303132333435363738393a3b3c3d3e3f4041424344454647')
const clientInfo =
  '0200000068af990d7d102a893b663ee239a318e9340905c749ea133e73b63bd5d5ea8fb95a303132333435363738393a3b3c3d3e3f40414243444546' +
  '47448b044d2aed6d6dbff5e0f7c97ded0f496b7d5f0e1a3599b2fb3c0ad454ef11f1ec94cc300995a944cc386b671955c0'
const only = (bytes: Uint8Array) => {
  const frames = new FrameReader().push(bytes)
  if (!frames.ok || frames.value.length !== 1) throw new Error('not one frame')
  return frames.value[0]!
}

test('[DERP-1] known answers: ServerKey and ClientInfo', () => {
  expect(toHex(encodeServerKey(serverPublic))).toBe(
    '010000002844455250f09f94911a58a200af0a73128b72d7e8e3a8eaf626199889414fa8dd29227bc762272605',
  )
  const frame = encodeClientInfo(crypto, nodePrivate, serverPublic, { version: 2, CanAckPings: true }, nonce)!
  expect(toHex(frame)).toBe(clientInfo)
  expect(decodeClientInfo(crypto, serverPrivate, only(fromHex(clientInfo)).payload)).toEqual({
    ok: true,
    value: { nodeKey: nodePublic, info: { version: 2, CanAckPings: true } },
  })
})

test('[DERP-2] sample frames', () => {
  expect(toHex(encodeFrame(FRAME.keepAlive))).toBe('0600000000')
  expect(toHex(encodeNotePreferred(true))).toBe('070000000101')
  expect(toHex(encodeFrame(FRAME.ping, new Uint8Array(8)))).toBe('12000000080000000000000000')
  expect(toHex(encodeSendPacket(nodePublic, new Uint8Array(32)).subarray(0, 5))).toBe('0400000040')
})

test('[DERP-3] server info reaches its client and nobody else', () => {
  const { payload } = only(encodeServerInfo(crypto, serverPrivate, nodePublic, { version: 2 }))
  expect(decodeServerInfo(crypto, nodePrivate, serverPublic, payload)).toEqual({ ok: true, value: { version: 2 } })
  expect(decodeServerInfo(crypto, serverPrivate, serverPublic, payload)).toEqual({ ok: false, reason: 'box' })
})

test('[DERP-4] notices: gone with and without reason, restarting, packets', () => {
  expect(decodePeerGone(only(encodePeerGone(nodePublic, PEER_GONE.notHere)).payload)).toEqual({
    ok: true,
    value: { key: nodePublic, reason: 1 },
  })
  expect(decodePeerGone(nodePublic)).toEqual({ ok: true, value: { key: nodePublic, reason: 0 } })
  expect(decodePeerGone(nodePublic.subarray(1)).ok).toBe(false)
  expect(decodeRestarting(fromHex('00000064000003e8'))).toEqual({
    ok: true,
    value: { reconnectInMs: 100, tryForMs: 1000 },
  })
  expect(decodePacket(concat(nodePublic, fromHex('0102')))).toEqual({
    ok: true,
    value: { key: nodePublic, packet: fromHex('0102') },
  })
  expect(decodePacket(new Uint8Array(32 + 65537)).ok).toBe(false)
})

describe('[DERP-5] the stream', () => {
  const stream = concat(
    encodeFrame(1, fromHex('aa')),
    encodeFrame(FRAME.keepAlive),
    encodeFrame(200, new Uint8Array(300)),
  )
  const collect = (sizes: (n: number) => number) => {
    const reader = new FrameReader()
    const seen: string[] = []
    let at = 0
    for (let n = 0; at < stream.length; n++) {
      const end = Math.min(stream.length, at + sizes(n))
      const frames = reader.push(stream.subarray(at, end))
      if (!frames.ok) throw new Error(frames.reason)
      for (const { type, payload } of frames.value) seen.push(`${type}:${payload.length}`)
      at = end
    }
    return seen
  }
  test('arrives the same however it is cut', () => {
    for (let size = 1; size <= stream.length; size++) expect(collect(() => size)).toEqual(['1:1', '6:0', '200:300'])
  })
  test('a frame over a MiB ends it for good', () => {
    const reader = new FrameReader()
    const header = encodeFrame(4, new Uint8Array(0))
    new DataView(header.buffer).setUint32(1, MAX_FRAME_BYTES + 1)
    expect(reader.push(header)).toEqual({ ok: false, reason: 'frame-too-long' })
    expect(reader.push(encodeFrame(6)).ok).toBe(false)
  })
  test('a large frame in tiny parts costs no more than its size', () => {
    const reader = new FrameReader()
    const frame = encodeFrame(5, new Uint8Array(MAX_FRAME_BYTES))
    let frames = 0
    for (let at = 0; at < frame.length; at += 64) {
      const part = reader.push(frame.subarray(at, at + 64))
      if (part.ok) frames += part.value.length
    }
    expect(frames).toBe(1)
  })
})

describe('[DERP-6] hostile login', () => {
  const good = fromHex(clientInfo).subarray(5)
  test('every cut and every changed byte is refused', () => {
    for (let length = 0; length < good.length; length++)
      expect(decodeClientInfo(crypto, serverPrivate, good.subarray(0, length)).ok).toBe(false)
    for (let at = 0; at < good.length; at += 3) {
      const changed = good.slice()
      changed[at]! ^= 4
      expect(decodeClientInfo(crypto, serverPrivate, changed).ok).toBe(false)
    }
  })
  test('a low-order key, JSON of another shape, a wrong magic', () => {
    expect(decodeClientInfo(crypto, serverPrivate, new Uint8Array(100))).toEqual({ ok: false, reason: 'low-order-key' })
    const shared = crypto.boxSharedKey(nodePrivate, serverPublic)!
    for (const text of ['[]', 'null', '{"version":"2"}', '{']) {
      const box = crypto.boxSeal(shared, nonce, new TextEncoder().encode(text))
      expect(decodeClientInfo(crypto, serverPrivate, concat(nodePublic, nonce, box)).ok).toBe(false)
    }
    expect(decodeServerKey(new Uint8Array(40))).toEqual({ ok: false, reason: 'magic' })
    expect(decodeServerKey(new Uint8Array(39))).toEqual({ ok: false, reason: 'short' })
    expect(decodeServerKey(new Uint8Array(1025))).toEqual({ ok: false, reason: 'long' })
  })
})
