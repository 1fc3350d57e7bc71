/** Disco, STUN, Geneve: what strangers and peers may put into one UDP datagram. WireGuard has its own file. */
import { expect, test } from 'vitest'
import type { IpPort } from '../../src-contract/ids.ts'
import { nodeCrypto as crypto } from '../crypto/node-crypto.ts'
import { concat, toHex } from './bytes.ts'
import {
  type DiscoMessage,
  decodeDisco,
  discoSender,
  encodeDisco,
  looksLikeDisco,
  openDisco,
  type RelayEndpoint,
  sealDisco,
} from './disco.ts'
import { expectReason, expectStable, fuzz, mutate } from './fuzz-kit.lab.ts'
import { decodeGeneve, encodeGeneve, GENEVE_DISCO, GENEVE_WIREGUARD } from './geneve.ts'
import {
  decodeStunRequest,
  decodeStunResponse,
  encodeStunRequest,
  encodeStunResponse,
  isStun,
  isStunResponse,
} from './stun.ts'
import { messageType } from './wireguard.ts'

const body = (size: number, step = 7) => Uint8Array.from({ length: size }, (_, i) => i * step)
const V4 = '203.0.113.5:41641' as IpPort
const V6 = '[2001:db8::1]:65535' as IpPort
const txId = body(12)
const binding = { vni: 0x123456, generation: 7, otherDiscoKey: body(32), challenge: body(32, 3) }
const endpoint: RelayEndpoint = {
  serverDiscoKey: body(32, 1),
  clientDiscoKeys: [body(32, 2), body(32, 3)],
  lamportId: 2n ** 63n + 1n,
  vni: 9,
  bindLifetimeNs: 30_000_000_000n,
  steadyLifetimeNs: 300_000_000_000n,
  addresses: [V4, V6],
}
const MESSAGES: DiscoMessage[] = [
  { kind: 'ping', txId },
  { kind: 'ping', txId, nodeKey: body(32), paddingBytes: 100 },
  { kind: 'pong', txId, source: V4 },
  { kind: 'pong', txId, source: V6 },
  { kind: 'callMeMaybe', endpoints: [] },
  { kind: 'callMeMaybe', endpoints: [V4, V6, V4] },
  { kind: 'bindUdpRelay', ...binding },
  { kind: 'bindUdpRelayChallenge', ...binding },
  { kind: 'bindUdpRelayAnswer', ...binding },
  { kind: 'callMeMaybeVia', endpoint },
  { kind: 'allocateUdpRelayRequest', clientDiscoKeys: [body(32), body(32, 5)], generation: 0xffffffff },
  { kind: 'allocateUdpRelayResponse', generation: 1, endpoint },
]
const PAYLOADS = MESSAGES.map(encodeDisco)

test('disco payloads: all nine kinds, stable', () => {
  const kinds = new Set<string>()
  fuzz(
    30_000,
    (random) => mutate(random, PAYLOADS),
    (payload) => {
      if (expectStable(payload, decodeDisco, encodeDisco)) {
        const decoded = decodeDisco(payload)
        if (decoded.ok) kinds.add(decoded.value.kind)
      }
    },
  )
  expect(kinds.size).toBe(9)
})

test('disco datagrams: nothing changed inside the seal gets through', () => {
  const senderPrivate = crypto.newPrivateKey()
  const senderPublic = crypto.x25519PublicKey(senderPrivate)
  const receiverPrivate = crypto.newPrivateKey()
  const shared = crypto.boxSharedKey(receiverPrivate, senderPublic)
  if (shared === undefined) throw new Error('low order')
  const samples = MESSAGES.map((message) => sealDisco(crypto, shared, senderPublic, message))
  /** From the nonce on; magic and sender are judged by other functions. */
  const sealed = new Set(samples.map((sample) => toHex(sample.subarray(38))))
  let recognised = 0
  fuzz(
    8_000,
    (random) => mutate(random, samples),
    (datagram) => {
      if (looksLikeDisco(datagram)) {
        recognised++
        expect(discoSender(datagram).length).toBe(32)
        expect([isStun(datagram), messageType(datagram), decodeGeneve(datagram)]).toEqual([false, 0, undefined])
      }
      const opened = openDisco(crypto, shared, datagram)
      if (!opened.ok) expectReason(opened.reason)
      else if (!sealed.has(toHex(datagram.subarray(38)))) throw new Error('a forgery was opened')
    },
  )
  expect(recognised).toBeGreaterThan(1_000)
})

test('STUN: a request only with right name and fingerprint; a response only with an address', () => {
  const request = encodeStunRequest(txId)
  const samples = [request, encodeStunResponse(txId, V4), encodeStunResponse(txId, V6)]
  let requests = 0
  let responses = 0
  fuzz(
    40_000,
    (random) => mutate(random, samples),
    (datagram) => {
      const asked = decodeStunRequest(datagram)
      if (!asked.ok) expectReason(asked.reason)
      else {
        requests++
        expect(toHex(datagram)).toBe(toHex(request)) // the fingerprint covers everything before it
        // [no amplification] the answer to IPv4 is shorter than any request that is accepted
        expect(encodeStunResponse(asked.value, V4).length).toBeLessThan(datagram.length)
      }
      const answered = decodeStunResponse(datagram)
      if (!answered.ok) {
        expectReason(answered.reason)
        return
      }
      responses++
      if (!isStunResponse(datagram) || asked.ok) throw new Error('one datagram, two meanings')
      const again = decodeStunResponse(encodeStunResponse(answered.value.transactionId, answered.value.mapped))
      expect(again).toEqual(answered)
    },
  )
  expect(responses).toBeGreaterThan(500)
  expect(requests).toBeGreaterThan(0)
  expect(decodeStunRequest(request)).toEqual({ ok: true, value: txId })
})

test('Geneve: what is taken is written back the same, apart from bits the format ignores', () => {
  const samples = [GENEVE_DISCO, GENEVE_WIREGUARD].flatMap((protocol) =>
    [true, false].map((control) =>
      concat(encodeGeneve({ control, protocol: protocol as typeof GENEVE_DISCO, vni: 0xabcdef }), body(148)),
    ),
  )
  let taken = 0
  fuzz(
    20_000,
    (random) => mutate(random, samples),
    (datagram) => {
      const header = decodeGeneve(datagram)
      if (header === undefined) return
      taken++
      expect(decodeGeneve(encodeGeneve(header))).toEqual(header)
      expect(looksLikeDisco(datagram)).toBe(false)
    },
  )
  expect(taken).toBeGreaterThan(1_000)
})

test('noise of every size: no recogniser and no decoder throws', () => {
  const shared = crypto.randomBytes(32)
  fuzz(
    5_000,
    (random) => random.bytes(random.below(200)),
    (noise) => {
      for (const outcome of [decodeDisco(noise), decodeStunRequest(noise), decodeStunResponse(noise)]) {
        if (!outcome.ok) expectReason(outcome.reason)
      }
      expect([looksLikeDisco(noise), isStun(noise)]).toEqual([false, false])
      expect(openDisco(crypto, shared, noise).ok).toBe(false)
      decodeGeneve(noise)
      messageType(noise)
    },
  )
})
