import { expect, test } from 'vitest'
import { nodeCrypto as crypto } from '../crypto/node-crypto.ts'
import { concat, toHex } from './bytes.ts'
import {
  decodeClientInfo,
  decodeHealth,
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
  FRAME_HEADER_BYTES,
  FrameReader,
  PEER_GONE,
} from './derp.ts'
import { expectReason, fuzz, mutate } from './fuzz-kit.lab.ts'
import { utf8 } from './text.ts'

const nodePrivate = crypto.newPrivateKey()
const nodePublic = crypto.x25519PublicKey(nodePrivate)
const serverPrivate = crypto.newPrivateKey()
const serverPublic = crypto.x25519PublicKey(serverPrivate)
const clientInfo = encodeClientInfo(crypto, nodePrivate, serverPublic, { version: 2, CanAckPings: true })!
const serverInfo = encodeServerInfo(crypto, serverPrivate, nodePublic, { version: 2, TokenBucketBytesPerSecond: 9 })
const FRAMES = [
  encodeServerKey(serverPublic),
  clientInfo,
  serverInfo,
  encodeSendPacket(nodePublic, new Uint8Array(200).fill(3)),
  encodeNotePreferred(true),
  encodePeerGone(nodePublic, PEER_GONE.notHere),
  encodeFrame(FRAME.health, utf8('slow')),
  encodeFrame(FRAME.restarting, new Uint8Array(8).fill(1)),
  encodeFrame(FRAME.keepAlive),
  encodeFrame(0xee, new Uint8Array(40)),
]
const PAYLOADS = FRAMES.map((frame) => frame.slice(FRAME_HEADER_BYTES))

test('DERP stream: frames do not depend on how the stream was cut; an overlong one ends it for good', () => {
  const drain = (pieces: Uint8Array[]) => {
    const reader = new FrameReader(4_096)
    let given = ''
    let fault: string | undefined
    for (const piece of pieces) {
      const pushed = reader.push(piece)
      if (pushed.ok) {
        if (fault !== undefined) throw new Error('went on after a fault')
        for (const frame of pushed.value) given += `${frame.type}:${toHex(frame.payload)} `
      } else {
        expectReason(pushed.reason)
        fault ??= pushed.reason
      }
    }
    return { given, fault }
  }
  const stream = concat(...FRAMES)
  fuzz(
    3_000,
    (random) => mutate(random, [stream, ...FRAMES]),
    (bytes, random) => {
      const whole = drain([bytes])
      const cut = drain(random.slices(bytes))
      expect(cut.fault).toBe(whole.fault)
      if (whole.fault === undefined) expect(cut.given).toBe(whole.given)
      else expect(cut.given.startsWith(whole.given)).toBe(true)
    },
  )
})

test('DERP payloads: every decoder takes every payload', () => {
  const decoders = [decodeServerKey, decodePacket, decodePeerGone, decodeHealth, decodeRestarting]
  const taken = decoders.map(() => 0)
  fuzz(
    30_000,
    (random) => mutate(random, PAYLOADS),
    (payload) => {
      for (const [i, decode] of decoders.entries()) {
        const decoded = decode(payload)
        if (decoded.ok) taken[i]!++
        else expectReason(decoded.reason)
      }
      const packet = decodePacket(payload)
      if (packet.ok) expect(packet.value.key.length + packet.value.packet.length).toBe(payload.length)
    },
  )
  for (const count of taken) expect(count).toBeGreaterThan(100)
})

test('DERP login boxes: nothing changed gets through', () => {
  const client = clientInfo.slice(FRAME_HEADER_BYTES)
  const server = serverInfo.slice(FRAME_HEADER_BYTES)
  const boxes = [toHex(client.subarray(32)), toHex(server)]
  fuzz(
    1_500,
    (random) => mutate(random, [client, server]),
    (payload) => {
      const text = toHex(payload)
      const asClient = decodeClientInfo(crypto, serverPrivate, payload)
      // Behind the key, which carries one bit that X25519 ignores. Both boxes have the same key (NaCl boxes have no
      // direction), so the server's own, sent back, opens as well: the protocol is like that, TLS is what hides it.
      if (asClient.ok) expect(boxes).toContain(text.slice(64))
      else expectReason(asClient.reason)
      const asServer = decodeServerInfo(crypto, nodePrivate, serverPublic, payload)
      if (asServer.ok) expect(boxes).toContain(text)
      else expectReason(asServer.reason)
    },
  )
})

test('DERP login: whatever JSON an honest box holds, an answer or a refusal', () => {
  const shared = crypto.boxSharedKey(serverPrivate, nodePublic)!
  const samples = ['{"version":2,"CanAckPings":true,"meshKey":"a","AppName":"b"}', '{"version":"2"}', '[]', 'null'].map(
    utf8,
  )
  fuzz(
    2_000,
    (random) => mutate(random, samples),
    (json) => {
      const nonce = crypto.randomBytes(24)
      const sealed = concat(nonce, crypto.boxSeal(shared, nonce, json))
      const client = decodeClientInfo(crypto, serverPrivate, concat(nodePublic, sealed))
      if (!client.ok) expectReason(client.reason)
      else expect(typeof client.value.info.version).toBe('number')
      const server = decodeServerInfo(crypto, nodePrivate, serverPublic, sealed)
      if (!server.ok) expectReason(server.reason)
    },
  )
})
