import { expect, test } from 'vitest'
import type { PathReport } from '../../src-contract/localapi/pintail.ts'
import { pathRows } from './paths.ts'

test('[PATH-10] an address that loses full packets is named with their size', () => {
  const report: PathReport = {
    kind: 'relay',
    endpoint: '',
    derpRegion: 1,
    derpRegionCode: 'lab',
    latencyMs: 0,
    candidates: [
      { endpoint: '192.0.2.1:41641' as never, source: 'netmap', lastPongMs: 3, tooSmallForBytes: 1340 },
      { endpoint: '192.0.2.2:41641' as never, source: 'netmap', lastPongMs: null },
    ],
    history: [],
  }
  expect(pathRows('nas', report)).toBe('nas\trelay lab\t\t\n  192.0.2.1:41641\tpath MTU too small, 1340 bytes\t\t\n')
})
