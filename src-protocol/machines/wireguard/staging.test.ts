import { expect, expectTypeOf, test } from 'vitest'
import type * as door from '../../../src-native/door.ts'
import type { Activity } from '../activity.ts'
import type { Keypair } from './keypair.ts'
import { Staging } from './staging.ts'

test('[WG-4.6] 128 per peer, oldest lost first', () => {
  const staging = new Staging()
  let lost = 0
  for (let i = 0; i < 130; i++) lost += staging.stage(1, Uint8Array.of(i))
  expect([lost, staging.bytes]).toEqual([2, 128])
  expect(staging.take(1).map((packet) => packet[0])).toEqual(Array.from({ length: 128 }, (_, i) => i + 2))
  expect([staging.bytes, staging.has(1), staging.take(1)]).toEqual([0, false, []])
})

test('[WG-4.6] 8 MiB over all; nobody loses to another peer', () => {
  const staging = new Staging()
  const big = new Uint8Array(65_535)
  let lost = 0
  for (let i = 0; i < 200; i++) lost += staging.stage(i % 2, big)
  expect(staging.bytes).toBe(128 * 65_535)
  expect(lost).toBe(72)
  expect(staging.stage(7, new Uint8Array(1_000))).toBe(1)
  expect(staging.has(7)).toBe(false)
  expect(staging.take(0).length + staging.take(1).length).toBe(128)
  expect(staging.bytes).toBe(0)
  expect(staging.stage(7, new Uint8Array(1_000))).toBe(0)
})

test('shapes shared with the data path are the same', () => {
  expectTypeOf<Keypair>().toEqualTypeOf<door.Keypair>()
  expectTypeOf<Activity>().toEqualTypeOf<door.Activity>()
})
