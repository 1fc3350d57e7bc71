import { expect, test } from 'vitest'
import { packFilter, packPrefixes } from './pack-tables.ts'

test('prefixes of both families, and what does not parse is left out', () => {
  const packed = Buffer.from(packPrefixes(['100.64.0.0/10', 'nonsense', 'fd7a:115c:a1e0::/48'])).toString('hex')
  expect(packed).toBe(`${'00000002'}040a${'64400000'}${'00'.repeat(12)}0630fd7a115ca1e0${'00'.repeat(10)}`)
})

test('a table of any size is packed whole', () => {
  const rule = {
    sources: ['10.0.0.0/8'],
    destinations: [{ prefix: '10.0.0.0/8', firstPort: 1, lastPort: 65_535 }],
    protocols: [6, 17],
  }
  const lengthOf = (rules: number) =>
    packFilter({ rules: Array.from({ length: rules }, () => rule), localNets: [], shieldsUp: false, peerApi: [] })
      .length
  const empty = lengthOf(0)
  for (const rules of [1, 3, 10, 1000]) expect(lengthOf(rules)).toBe(empty + rules * (lengthOf(1) - empty))
})
