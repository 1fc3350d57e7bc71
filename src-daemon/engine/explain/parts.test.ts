import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import { addressOf, cutNetwork, joinParts, networksOfParts } from './parts.ts'

const prefix = (text: string) => {
  const parsed = parsePrefix(text)
  if (!parsed.ok) throw new Error(text)
  return parsed.value
}

test('[EXP-5] a network is cut at the ends of those in it, and put together again', () => {
  const whole = prefix('10.0.0.0/8')
  const parts = cutNetwork(whole, ['10.0.0.0/16', '10.255.255.255/32', '192.168.0.0/16', '10.0.0.0/8'].map(prefix))
  expect(parts.map((part) => networksOfParts([part], 32, 2))).toEqual([
    { networks: ['10.0.0.0/16'], more: 0 },
    { networks: ['10.1.0.0/16', '10.2.0.0/15'], more: 28 },
    { networks: ['10.255.255.255/32'], more: 0 },
  ])
  expect(joinParts(parts).map((part) => networksOfParts([part], 32, 9).networks)).toEqual([['10.0.0.0/8']])
  expect(networksOfParts(cutNetwork(prefix('::/0'), []), 128, 9).networks).toEqual(['::/0'])
})

test('[EXP-5] within a part no network begins or ends', () => {
  const bits = fc.integer({ min: 0, max: 32 })
  const ip = fc.uint8Array({ minLength: 4, maxLength: 4 })
  fc.assert(
    fc.property(
      fc.array(fc.record({ ip, bits }), { maxLength: 20 }),
      fc.integer({ min: 0, max: 16 }),
      (inside, width) => {
        const whole = { ip: Uint8Array.of(10, 0, 0, 0), bits: width }
        const parts = cutNetwork(whole, inside)
        for (const part of parts) {
          for (const network of inside.filter((one) => one.bits > whole.bits)) {
            const ends = [part.first, part.last].map((end) =>
              prefixContains(network, prefix(`${addressOf(end, 32)}/32`).ip),
            )
            expect(ends[0]).toBe(ends[1])
          }
        }
        const [one] = joinParts(parts)
        expect(networksOfParts([one!], 32, 9).networks).toHaveLength(1)
      },
    ),
  )
})
