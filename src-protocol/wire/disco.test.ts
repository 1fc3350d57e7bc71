import { describe, expect, test } from 'vitest'
import type { IpPort } from '../../src-contract/ids.ts'
import { nodeCrypto as crypto } from '../crypto/node-crypto.ts'
import { fromHex, toHex } from './bytes.ts'
import {
  type DiscoMessage,
  decodeDisco,
  discoSender,
  encodeDisco,
  looksLikeDisco,
  openDisco,
  PING_DATAGRAM_BYTES,
  sealDisco,
} from './disco.ts'
import { decodeGeneve, encodeGeneve, GENEVE_DISCO, GENEVE_WIREGUARD } from './geneve.ts'

const aPrivate = fromHex('38bad67065c63521c1272a6c0576ce294efb1bccde5e275aa1dd56d3282fd464')
const aPublic = fromHex('b42e77737060d91ca0871eb6e58e46721a9f67f3daf62cc4abf46f2fecb99e5e')
const bPrivate = fromHex('f8a3b63b1282ba3a68ea08b076b3502f496966f4a101705eb48e38901fe58756')
const bPublic = fromHex('324ae0e5dde3129c1adb7846d55d47d85e5fd180cb6cba50a9af0fba988e7205')
const nonce = fromHex('303132333435363738393a3b3c3d3e3f4041424344454647')
const nodeA = fromHex('af990d7d102a893b663ee239a318e9340905c749ea133e73b63bd5d5ea8fb95a')
const txId = fromHex('0102030405060708090a0b0c')
const shared = crypto.boxSharedKey(aPrivate, bPublic)!

const pingDatagram =
  '5453f09f92acb42e77737060d91ca0871eb6e58e46721a9f67f3daf62cc4abf46f2fecb99e5e303132333435363738393a3b3c3d3e3f404142434445' +
  '46479de610f73836bc28ed08963515206844f4e48b776ad640d2e42c6d4196cf3817bc0707468f89916aa4a7ee00d74f00b704a86a619fa8b10e71fc9b94134a'
const pongDatagram =
  '5453f09f92ac324ae0e5dde3129c1adb7846d55d47d85e5fd180cb6cba50a9af0fba988e7205303132333435363738393a3b3c3d3e3f404142434445' +
  '4647a4756c29987c01c8a7e1e3f6240d9122f7e48b776ad640d2e42c6d4196cf978eb17a176c06b2f754b96186184f7eab1b'

const endpoint = {
  serverDiscoKey: new Uint8Array(32).fill(1),
  clientDiscoKeys: [new Uint8Array(32).fill(2), new Uint8Array(32).fill(3)] as [Uint8Array, Uint8Array],
  lamportId: 2n ** 63n,
  vni: 0x123,
  bindLifetimeNs: 30_000_000_000n,
  steadyLifetimeNs: 300_000_000_000n,
  addresses: ['203.0.113.5:41641', '[2001:db8::1]:41642'] as IpPort[],
}
const binding = { vni: 7, generation: 9, otherDiscoKey: bPublic, challenge: new Uint8Array(32).fill(5) }
const messages: DiscoMessage[] = [
  { kind: 'ping', txId, nodeKey: nodeA, paddingBytes: 0 },
  { kind: 'ping', txId, nodeKey: nodeA, paddingBytes: 1000 },
  { kind: 'ping', txId, paddingBytes: 0 },
  { kind: 'pong', txId, source: '203.0.113.5:41641' as IpPort },
  { kind: 'callMeMaybe', endpoints: endpoint.addresses },
  { kind: 'callMeMaybe', endpoints: [] },
  { kind: 'bindUdpRelay', ...binding },
  { kind: 'bindUdpRelayChallenge', ...binding },
  { kind: 'bindUdpRelayAnswer', ...binding },
  { kind: 'callMeMaybeVia', endpoint },
  { kind: 'allocateUdpRelayRequest', clientDiscoKeys: endpoint.clientDiscoKeys, generation: 4 },
  { kind: 'allocateUdpRelayResponse', generation: 4, endpoint },
]

test('[DISCO-1] known answers: shared key, ping, pong, call-me-maybe', () => {
  expect(toHex(shared)).toBe('bf443ac79185b4a1540f3833f494d2c1e376585347b35bffb0ef7fe8442f6e49')
  expect(toHex(sealDisco(crypto, shared, aPublic, { kind: 'ping', txId, nodeKey: nodeA }, nonce))).toBe(pingDatagram)
  expect(
    toHex(sealDisco(crypto, shared, bPublic, { kind: 'pong', txId, source: '203.0.113.5:41641' as IpPort }, nonce)),
  ).toBe(pongDatagram)
  expect(toHex(encodeDisco({ kind: 'callMeMaybe', endpoints: endpoint.addresses }))).toBe(
    '0300' + '00000000000000000000ffffcb007105a2a9' + '20010db8000000000000000000000001a2aa',
  )
  expect(pingDatagram.length / 2).toBe(PING_DATAGRAM_BYTES)
})

test('[DISCO-1] opens what the other side sealed', () => {
  const datagram = fromHex(pingDatagram)
  expect(looksLikeDisco(datagram)).toBe(true)
  expect(toHex(discoSender(datagram))).toBe(toHex(aPublic))
  const opened = openDisco(crypto, crypto.boxSharedKey(bPrivate, aPublic)!, datagram)
  expect(opened).toEqual({ ok: true, value: { kind: 'ping', txId, nodeKey: nodeA, paddingBytes: 0 } })
})

test.each(messages)('[DISCO-2] $kind survives the way there and back', (message) => {
  expect(decodeDisco(encodeDisco(message))).toEqual({ ok: true, value: message })
})

describe('[DISCO-3] hostile bytes', () => {
  test('every cut of every message is refused or understood, never thrown', () => {
    for (const message of messages) {
      const bytes = encodeDisco(message)
      for (let length = 0; length < bytes.length; length++) decodeDisco(bytes.subarray(0, length))
    }
  })
  test('a changed byte anywhere does not open', () => {
    const datagram = fromHex(pingDatagram)
    for (let at = 38; at < datagram.length; at++) {
      const changed = datagram.slice()
      changed[at]! ^= 1
      expect(openDisco(crypto, shared, changed).ok).toBe(false)
    }
  })
  test('a call-me-maybe of broken length or another version is an empty one', () => {
    const bytes = encodeDisco({ kind: 'callMeMaybe', endpoints: endpoint.addresses })
    const other = bytes.slice()
    other[1] = 1
    for (const payload of [bytes.subarray(0, bytes.length - 1), other])
      expect(decodeDisco(payload)).toEqual({ ok: true, value: { kind: 'callMeMaybe', endpoints: [] } })
  })
  test('a relay endpoint needs an address and whole ones', () => {
    const bytes = encodeDisco({ kind: 'callMeMaybeVia', endpoint: { ...endpoint, addresses: [] } })
    expect(decodeDisco(bytes)).toEqual({ ok: false, reason: 'short' })
    const ragged = encodeDisco({ kind: 'callMeMaybeVia', endpoint })
    expect(decodeDisco(ragged.subarray(0, ragged.length - 1))).toEqual({ ok: false, reason: 'address-list' })
  })
  test('unknown types are refused by name', () => {
    expect(decodeDisco(Uint8Array.of(99, 0, 1, 2))).toEqual({ ok: false, reason: 'type' })
    expect(decodeDisco(Uint8Array.of())).toEqual({ ok: false, reason: 'short' })
  })
})

test('[DISCO-4] Geneve headers, and what is none', () => {
  expect(toHex(encodeGeneve({ control: false, protocol: GENEVE_WIREGUARD, vni: 0x123 }))).toBe('00007a1200012300')
  expect(toHex(encodeGeneve({ control: true, protocol: GENEVE_DISCO, vni: 0x123 }))).toBe('00807a1100012300')
  expect(decodeGeneve(fromHex('00807a1100012300'))).toEqual({ control: true, protocol: GENEVE_DISCO, vni: 0x123 })
  for (const not of ['00807a11000123', '40807a1100012300', '00017a1100012300', '00807a1300012300', '00807a1100012301'])
    expect(decodeGeneve(fromHex(not))).toBeUndefined()
})
