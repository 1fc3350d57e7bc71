import { expect, test } from 'vitest'
import type { DerpNode } from '../../../src-contract/control/map.ts'
import { resolve } from '../past-tunnel.ts'
import { targetsOf } from './targets.ts'

const of = (change: Partial<DerpNode>) =>
  targetsOf({ Name: '1a', RegionID: 1, HostName: 'relay.example', ...change }).map(
    ({ family, host, port }) => `${family} ${host} ${port}`,
  )

test.each<[string, Partial<DerpNode>, string[]]>([
  ['names are looked up', {}, ['4 relay.example 443', '6 relay.example 443']],
  ['addresses are taken', { IPv4: '192.0.2.1', IPv6: '2001:db8::1' }, ['4 192.0.2.1 443', '6 2001:db8::1 443']],
  ['anything else switches a family off', { IPv4: 'none', IPv6: '192.0.2.1' }, []],
  ['another port', { IPv6: 'none', DERPPort: 8443 }, ['4 relay.example 8443']],
  ['a host that is an address has one family', { HostName: '192.0.2.7' }, ['4 192.0.2.7 443']],
  ['the same for IPv6', { HostName: '2001:db8::7' }, ['6 2001:db8::7 443']],
])('[RELAY-3] %s', (_, change, want) => expect(of(change)).toEqual(want))

test('[RELAY-3] an abort ends the wait for a name', async () => {
  await expect(resolve('relay.invalid', 4, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  const stop = new AbortController()
  const looking = resolve('relay.invalid', 4, stop.signal)
  stop.abort(new Error('enough'))
  await expect(looking).rejects.toThrow('enough')
})
