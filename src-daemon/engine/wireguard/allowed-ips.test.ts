import { expect, test } from 'vitest'
import { AllowedIps } from './allowed-ips.ts'

test('[UAPI-4.5] a prefix has one owner, the latest; only its owner can give it up', () => {
  const ips = new AllowedIps()
  expect(ips.add(1, '10.0.0.0/8')).toBe(undefined)
  expect(ips.add(1, '10.0.0.0/8')).toBe(undefined)
  expect(ips.add(1, '::/0')).toBe(undefined)
  expect(ips.add(2, '10.0.0.0/8')).toBe(1)
  expect([...ips.of(1)]).toEqual(['::/0'])
  ips.remove(1, '10.0.0.0/8')
  expect([...ips.of(2)]).toEqual(['10.0.0.0/8'])
  ips.remove(2, '10.0.0.0/8')
  expect([...ips.of(2)]).toEqual([])
  ips.clear(1)
  expect([...ips.of(1)]).toEqual([])
  expect(ips.add(2, '::/0')).toBe(undefined)
  ips.clear(1)
  expect([...ips.of(2)]).toEqual(['::/0'])
})
