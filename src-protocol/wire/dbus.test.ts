import fc from 'fast-check'
import { expect, test } from 'vitest'
import { concat, fromHex, toHex } from './bytes.ts'
import { type DbusMessage, dbusLength, decodeDbus, encodeDbus, splitSignature } from './dbus.ts'

const hello: DbusMessage = {
  type: 1,
  flags: 0,
  serial: 1,
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
  member: 'Hello',
  destination: 'org.freedesktop.DBus',
  body: [],
}

test('a known message, byte by byte', () => {
  const text = (value: string) => toHex(new TextEncoder().encode(value))
  const bus = text('org.freedesktop.DBus')
  expect(toHex(encodeDbus(hello))).toBe(
    toHex(
      fromHex(
        '6c010001 00000000 01000000 6d000000' +
          `01 01 6f 00 15000000 ${text('/org/freedesktop/DBus')} 00 0000` +
          `02 01 73 00 14000000 ${bus} 00 000000` +
          `03 01 73 00 05000000 ${text('Hello')} 00 0000` +
          `06 01 73 00 14000000 ${bus} 00 000000`,
      ),
    ),
  )
})

test('every kind of value there and back', () => {
  const signature = 'ybnqiuxtdsogvaya(iay)a{sv}aa{sv}(s(ub))'
  const body = [
    200,
    true,
    -5,
    65_000,
    -70_000,
    4_000_000_000,
    -(2n ** 60n),
    2n ** 63n,
    1.5,
    'grüße',
    '/a/b',
    'a{sv}',
    { signature: '(su)', value: ['x', 7] },
    Uint8Array.of(1, 2, 3),
    [
      [2, Uint8Array.of(10, 0, 0, 1)],
      [10, new Uint8Array(16)],
    ],
    [
      ['one', { signature: 's', value: '1' }],
      ['two', { signature: 'u', value: 2 }],
    ],
    [[], [['k', { signature: 'b', value: false }]]],
    ['s', [1, true]],
  ]
  const message: DbusMessage = { ...hello, serial: 77, signature, body }
  expect(decodeDbus(encodeDbus(message))).toEqual({ ok: true, value: message })
})

test('signatures', () => {
  expect(splitSignature('ia(iay)a{sv}')).toEqual(['i', 'a(iay)', 'a{sv}'])
  for (const wrong of ['a', '(', '()', '(i', 'a{vs', 'a{s}', '{sv}', 'z', `${'a'.repeat(40)}i`])
    expect(splitSignature(wrong)).toBeUndefined()
})

test('hostile bytes: every cut, random damage, lengths that lie', () => {
  const whole = encodeDbus({ ...hello, signature: 'a{sv}', body: [[['k', { signature: 'as', value: ['a', 'b'] }]]] })
  for (let length = 0; length < whole.length; length++) expect(decodeDbus(whole.subarray(0, length)).ok).toBe(false)
  expect(dbusLength(fromHex('6c010001 ffffffff 01000000 00000000'))).toEqual({ ok: false, reason: 'dbus-long' })
  expect(dbusLength(fromHex('42010001 00000000 01000000 00000000'))).toEqual({ ok: false, reason: 'dbus-byte-order' })
  fc.assert(
    fc.property(fc.nat(), fc.nat(255), fc.uint8Array({ maxLength: 64 }), (at, byte, tail) => {
      const damaged = whole.slice()
      damaged[at % damaged.length] = byte
      decodeDbus(concat(damaged, tail))
      decodeDbus(concat(whole.subarray(0, 16), tail))
    }),
    { numRuns: 5_000 },
  )
})
