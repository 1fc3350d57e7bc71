import { expect, test } from 'vitest'
import { addonMissing, icmpEcho } from './os-calls.ts'

const withAddon = addonMissing() === undefined ? test : test.skip

withAddon('an ICMP echo to this machine answers, or the system says that it may not be sent', async () => {
  const outcome = await icmpEcho('127.0.0.1', 1_000, 0).catch((error: NodeJS.ErrnoException) => error.code)
  if (typeof outcome === 'number') expect(outcome).toBeLessThan(1_000)
  else expect(outcome).toMatch(/^E(PERM|ACCES)$/)
})

withAddon('what is no IPv4 address is refused', () => {
  expect(() => icmpEcho('::1', 100, 0)).toThrow(/IPv4 address/)
})
