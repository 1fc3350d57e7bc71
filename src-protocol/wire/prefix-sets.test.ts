import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Prefix, parsePrefix, prefixContains, prefixText } from './ip.ts'
import { withoutPrefixes } from './prefix-sets.ts'

const prefix = (text: string): Prefix => {
  const parsed = parsePrefix(text)
  if (!parsed.ok) throw new Error(text)
  return parsed.value
}
const without = (from: string, ...holes: string[]) => withoutPrefixes(prefix(from), holes.map(prefix)).map(prefixText)

test('a hole leaves its neighbours', () => {
  expect(without('10.0.0.0/30', '10.0.0.1/32')).toEqual(['10.0.0.0/32', '10.0.0.2/31'])
  expect(without('0.0.0.0/0', '128.0.0.0/1')).toEqual(['0.0.0.0/1'])
  expect(without('::/0', '8000::/2', 'c000::/2')).toEqual(['::/1'])
  expect(without('fd00::/127', 'fd00::1/128')).toEqual(['fd00::/128'])
})

test('a hole around everything, elsewhere, or of the other family', () => {
  expect(without('10.0.0.0/8', '0.0.0.0/0')).toEqual([])
  expect(without('10.0.0.0/8', '10.0.0.0/8')).toEqual([])
  expect(without('10.0.0.0/8', '11.0.0.0/8', '::/0')).toEqual(['10.0.0.0/8'])
  expect(without('10.0.0.0/8')).toEqual(['10.0.0.0/8'])
})

test('exactly what no hole holds, once', () => {
  // Few bits differ, so that holes meet and nest.
  const address = fc
    .tuple(fc.constantFrom(10, 11, 192), fc.nat(3), fc.nat(255))
    .map(([a, b, c]) => [a, b, 0, c] as const)
  const hole = fc
    .tuple(address, fc.integer({ min: 0, max: 32 }))
    .map(([ip, bits]) => prefix(prefixText({ ip: Uint8Array.from(ip), bits })))
  fc.assert(
    fc.property(
      hole,
      fc.array(hole, { maxLength: 8 }),
      fc.array(address, { minLength: 1, maxLength: 20 }),
      (from, holes, ips) => {
        const left = withoutPrefixes(from, holes)
        for (const ip of ips.map((bytes) => Uint8Array.from(bytes))) {
          const times = left.filter((part) => prefixContains(part, ip)).length
          const expected = prefixContains(from, ip) && !holes.some((h) => prefixContains(h, ip))
          expect(times).toBe(expected ? 1 : 0)
        }
      },
    ),
    { numRuns: 500 },
  )
})
