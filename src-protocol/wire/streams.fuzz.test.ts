/** The stream readers: what comes out does not depend on how the stream was cut, and garbage ends it for good. */
import { expect, test } from 'vitest'
import { nodeCrypto as crypto } from '../crypto/node-crypto.ts'
import { concat, toHex } from './bytes.ts'
import type { Decoded } from './decoded.ts'
import { expectReason, fuzz, mutate } from './fuzz-kit.lab.ts'
import { encodeMapMessage, MapMessageReader } from './map-framing.ts'
import {
  decodeEarlyPayload,
  encodeEarlyPayload,
  encodeErrorFrame,
  errorFrameText,
  RecordReader,
  RecordWriter,
  respond,
  startInitiator,
} from './noise.ts'
import { utf8 } from './text.ts'

interface Reader {
  push(bytes: Uint8Array): Decoded<Uint8Array[]>
}

/** Everything a reader gave, and why it ended. */
function drain(reader: Reader, pieces: Uint8Array[]): { given: string; fault: string | undefined } {
  let given = ''
  let fault: string | undefined
  for (const piece of pieces) {
    const pushed = reader.push(piece)
    if (pushed.ok) {
      if (fault !== undefined) throw new Error('went on after a fault')
      for (const message of pushed.value) given += `${toHex(message)} `
    } else {
      expectReason(pushed.reason)
      fault ??= pushed.reason
    }
  }
  return { given, fault }
}

test('map messages', () => {
  const samples = [
    concat(...[0, 1, 5, 300].map((size) => encodeMapMessage(new Uint8Array(size).fill(7)))),
    encodeMapMessage(utf8('{"KeepAlive":true}')),
  ]
  fuzz(
    4_000,
    (random) => mutate(random, samples),
    (stream, random) => {
      const whole = drain(new MapMessageReader(1_000), [stream])
      const cut = drain(new MapMessageReader(1_000), random.slices(stream))
      // a fault swallows what stood before it in the same push, so only faultless streams compare in full
      expect(cut.fault).toBe(whole.fault)
      if (whole.fault === undefined) expect(cut.given).toBe(whole.given)
      else expect(cut.given.startsWith(whole.given)).toBe(true)
    },
  )
})

test('Noise records', () => {
  const key = crypto.randomBytes(32)
  const writer = new RecordWriter(crypto, key)
  const records = concat(...[1, 20, 5_000].map((size) => writer.seal(new Uint8Array(size).fill(size))))
  fuzz(
    800,
    (random) => mutate(random, [records]),
    (stream, random) => {
      const whole = drain(new RecordReader(crypto, key), [stream])
      const cut = drain(new RecordReader(crypto, key), random.slices(stream))
      expect(cut.fault).toBe(whole.fault)
      if (whole.fault === undefined) expect(cut.given).toBe(whole.given)
      else expect(cut.given.startsWith(whole.given)).toBe(true)
    },
  )
})

test('Noise handshakes: nothing changed gets through', () => {
  const machinePrivate = crypto.newPrivateKey()
  const serverPrivate = crypto.newPrivateKey()
  const serverPublic = crypto.x25519PublicKey(serverPrivate)
  const initiator = startInitiator({ crypto, machinePrivate, serverPublic, version: 131 })
  const accepted = respond({ crypto, serverPrivate, initiation: initiator.message })
  if (!accepted.ok) throw new Error(accepted.reason)
  const samples = [initiator.message, accepted.value.reply, encodeErrorFrame('no')]
  fuzz(
    1_500,
    (random) => mutate(random, samples),
    (bytes) => {
      const text = toHex(bytes)
      const answered = respond({ crypto, serverPrivate, initiation: bytes })
      if (answered.ok) expect(text).toBe(toHex(initiator.message))
      else expectReason(answered.reason)
      // a machine of its own each time: finish() consumes its state
      const fresh = startInitiator({ crypto, machinePrivate, serverPublic, version: 131 })
      const finished = fresh.finish(bytes)
      if (finished.ok) throw new Error('a reply to somebody else')
      expectReason(finished.reason)
      errorFrameText(bytes)
    },
  )
})

test('early payload', () => {
  const samples = [
    concat(encodeEarlyPayload({ nodeKeyChallenge: `chalpub:${'ab'.repeat(32)}` }), utf8('PRI * HTTP/2.0')),
    encodeEarlyPayload({}),
    utf8('PRI * HTTP/2.0'),
  ]
  fuzz(
    20_000,
    (random) => mutate(random, samples),
    (stream) => {
      const read = decodeEarlyPayload(stream)
      if (!read.ok) return expectReason(read.reason)
      if (read.value.kind === 'payload') {
        expect(read.value.bytes).toBeLessThanOrEqual(stream.length)
        expect(decodeEarlyPayload(stream.subarray(0, read.value.bytes))).toEqual(read)
        expect(decodeEarlyPayload(stream.subarray(0, read.value.bytes - 1))).toEqual({
          ok: true,
          value: { kind: 'incomplete' },
        })
      }
    },
  )
})
