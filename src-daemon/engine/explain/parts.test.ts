import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parsePrefix, prefixContains } from '../../../src-protocol/wire/ip.ts'
import { addressOf, cutNetwork, joinParts, networksOfPart } from './parts.ts'

const prefix = (text: string) => {
  const parsed = parsePrefix(text)
  if (!parsed.ok) throw new Error(text)
  return parsed.value
}

test('[EXP-5] a network is cut at the ends of those in it, and put together again', () => {
  const whole = prefix('10.0.0.0/8')
  const parts = cutNetwork(whole, ['10.0.0.0/16', '10.255.255.255/32', '192.168.0.0/16', '10.0.0.0/8'].map(prefix))
  expect(parts.map((part) => networksOfPart(part, 32).slice(0, 2))).toEqual([
    ['10.0.0.0/16'],
    ['10.1.0.0/16', '10.2.0.0/15'],
    ['10.255.255.255/32'],
  ])
  expect(joinParts(parts).map((part) => networksOfPart(part, 32))).toEqual([['10.0.0.0/8']])
  expect(networksOfPart(cutNetwork(prefix('::/0'), [])[0]!, 128)).toEqual(['::/0'])
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
        expect(networksOfPart(one!, 32)).toHaveLength(1)
      },
    ),
  )
})
