import { expect, test } from 'vitest'
import { fromHex, toHex } from '../src-protocol/wire/bytes.ts'
import { MIN_TRANSPORT_BYTES, nodeAead } from './aead.ts'
import type { Keypair } from './door.ts'
import { KeypairSlots, paddedLength, REJECT_AFTER_MS, TransportKeys } from './keypairs.ts'

// Known answers: the session of the published handshake vectors.
const I_TO_R = fromHex('0f998bee77139ddbb18df822042908cf8a711318e8818271a46418d2c5fcbd28')
const R_TO_I = fromHex('f16ebedbfb0ad0d483b3679d85088d9fb9535b375eb851993d78b06781b53a16')
const initiator = (): Keypair => ({
  peer: 1,
  localIndex: 0x11223344,
  remoteIndex: 0x55667788,
  sendKey: I_TO_R,
  receiveKey: R_TO_I,
  slot: 'current',
})
const responder = (): Keypair => ({
  peer: 2,
  localIndex: 0x55667788,
  remoteIndex: 0x11223344,
  sendKey: R_TO_I,
  receiveKey: I_TO_R,
  slot: 'next',
})
const open = (keys: TransportKeys, datagram: Uint8Array) => {
  const opened = keys.open(datagram)
  return opened.ok ? toHex(opened.value) : opened.reason
}
const seal = (keys: TransportKeys, plain: Uint8Array) => {
  const target = new Uint8Array(plain.length + MIN_TRANSPORT_BYTES)
  keys.seal(plain, target)
  return target
}

test('[WG-2] known answers: keepalive and data', () => {
  const keys = new TransportKeys(initiator(), 0, nodeAead.create)
  expect(toHex(seal(keys, new Uint8Array(0)))).toBe('04000000887766550000000000000000002fbf4fa9c54bfb0b0bbd8f66a18980')
  const data = new TransportKeys({ ...initiator(), sendKey: R_TO_I, remoteIndex: 0x11223344 }, 0, nodeAead.create)
  expect(seal(data, new Uint8Array(16)).length).toBe(48)
  const receiver = new TransportKeys(responder(), 0, nodeAead.create)
  expect(open(receiver, fromHex('04000000887766550000000000000000002fbf4fa9c54bfb0b0bbd8f66a18980'))).toBe('')
})

test('[WG-2] the responder opens what the initiator seals, in any order, once', () => {
  const [a, b] = [
    new TransportKeys(initiator(), 0, nodeAead.create),
    new TransportKeys(responder(), 0, nodeAead.create),
  ]
  const datagrams = Array.from({ length: 100 }, (_, i) => seal(a, new Uint8Array(16).fill(i)))
  for (const i of [5, 0, 99, 50, 7]) expect(open(b, datagrams[i]!)).toBe(toHex(new Uint8Array(16).fill(i)))
  for (const i of [5, 0, 99, 50, 7]) expect(open(b, datagrams[i]!)).toMatch(/^replay/)
})

test('[WG-2] [WG-9.10] the window is 8128: older counters are refused', () => {
  const [a, b] = [
    new TransportKeys(initiator(), 0, nodeAead.create),
    new TransportKeys(responder(), 0, nodeAead.create),
  ]
  const first = [seal(a, new Uint8Array(0)), seal(a, new Uint8Array(0))]
  a.sendCounter = 8129
  const newest = seal(a, new Uint8Array(0))
  expect(open(b, newest)).toBe('')
  expect(open(b, first[0]!)).toMatch(/^replay/)
  expect(open(b, first[1]!)).toBe('')
})

test('a forged datagram is refused at every byte, and does not move the window', () => {
  const [a, b] = [
    new TransportKeys(initiator(), 0, nodeAead.create),
    new TransportKeys(responder(), 0, nodeAead.create),
  ]
  const good = seal(a, new Uint8Array(32).fill(7))
  for (let i = 8; i < good.length; i++) {
    const forged = good.slice()
    forged[i] = forged[i]! ^ 1
    expect(['decrypt', 'counter-range']).toContain(open(b, forged))
  }
  for (let length = MIN_TRANSPORT_BYTES; length < good.length; length++)
    expect(open(b, good.slice(0, length))).toBe('decrypt')
  const high = good.slice().fill(0xff, 8, 16)
  expect(open(b, high)).toBe('counter-range')
  expect(open(b, good)).toBe('07'.repeat(32))
})

test('[WG-3] a keypair neither sends nor receives after 180 s', () => {
  const keys = new TransportKeys(initiator(), 1000, nodeAead.create)
  expect(keys.canSend(1000 + REJECT_AFTER_MS - 1)).toBe(true)
  expect(keys.canSend(1000 + REJECT_AFTER_MS)).toBe(false)
  keys.sendCounter = Number.MAX_SAFE_INTEGER
  expect(keys.canSend(1000)).toBe(false)
})

test.each([
  [0, 0],
  [1, 16],
  [16, 16],
  [17, 32],
  [1279, 1280],
  [1280, 1280],
  [1281, 1296],
  [1420, 1424],
  [2560, 2560],
])('[WG-2] %i bytes are padded to %i at MTU 1280', (length, padded) => {
  expect(paddedLength(length, 1280)).toBe(padded)
})

test('[WG-2] [WG-9.5] padding is zeros to 16 and never exceeds the MTU', () => {
  expect(paddedLength(1419, 1420)).toBe(1420)
  expect(paddedLength(1420, 1420)).toBe(1420)
})

test('[WG-4] slots rotate as initiator and as responder', () => {
  const fresh = () => new TransportKeys(initiator(), 0, nodeAead.create)
  const slots = new KeypairSlots()
  const [k1, k2, k3, k4, k5] = [fresh(), fresh(), fresh(), fresh(), fresh()]
  expect(slots.add(k1, 'current')).toEqual([])
  expect(slots.add(k2, 'next')).toEqual([])
  expect(slots.add(k3, 'next')).toEqual([k2]) // a newer one replaces it unused
  expect([slots.previous, slots.current, slots.next]).toEqual([undefined, k1, k3])
  expect(slots.confirm()).toEqual([])
  expect([slots.previous, slots.current, slots.next]).toEqual([k1, k3, undefined])
  slots.add(k4, 'next')
  expect(slots.previous).toBeUndefined()
  expect(slots.add(k5, 'current')).toEqual([k3]) // we answered and initiated at once: theirs stays receivable
  expect([slots.previous, slots.current, slots.next]).toEqual([k4, k5, undefined])
})
