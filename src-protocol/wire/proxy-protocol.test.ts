import { expect, test } from 'vitest'
import type { IpText } from '../../src-contract/ids.ts'
import { toHex } from './bytes.ts'
import { encodeProxyHeader } from './proxy-protocol.ts'

const end = (address: string, port: number) => ({ address: address as IpText, port })

test('[SVE-6.1] version 1 is a line', () => {
  const header = encodeProxyHeader(1, { source: end('100.64.0.2', 51_000), destination: end('100.64.0.1', 22) })
  expect(String.fromCharCode(...header)).toBe('PROXY TCP4 100.64.0.2 100.64.0.1 51000 22\r\n')
  const six = encodeProxyHeader(1, { source: end('fd00::2', 1), destination: end('fd00::1', 2) })
  expect(String.fromCharCode(...six)).toBe('PROXY TCP6 fd00::2 fd00::1 1 2\r\n')
})

test('[SVE-6.2] version 2 is a block', () => {
  const header = encodeProxyHeader(2, { source: end('100.64.0.2', 51_000), destination: end('100.64.0.1', 22) })
  expect(toHex(header)).toBe('0d0a0d0a000d0a515549540a' + '2111000c' + '64400002' + '64400001' + 'c738' + '0016')
  const six = encodeProxyHeader(2, { source: end('fd00::2', 1), destination: end('fd00::1', 2) })
  expect([six.length, toHex(six.subarray(12, 16))]).toEqual([52, '21210024'])
})
