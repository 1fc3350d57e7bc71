import { execFileSync } from 'node:child_process'
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../lab/eventually.ts'
import { type NetworkWatch, openNetworkWatch } from './network-watch.ts'

let watch: NetworkWatch | undefined
const name = `watched-${process.pid}`.slice(0, 15)
const ip = (...words: string[]) => execFileSync('ip', words)
afterEach(() => {
  watch?.close()
  try {
    ip('link', 'del', name)
  } catch {
    // the test got that far itself
  }
})

test('links, addresses, routes and rules of both families are told, silence is not', async () => {
  let told = 0
  watch = openNetworkWatch(() => told++)
  const tells = async (what: string, ...words: string[]) => {
    const before = told
    ip(...words)
    await eventually(what, () => (told > before ? true : undefined), { withinMs: 2_000, everyMs: 10 })
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await tells('a link', 'link', 'add', name, 'type', 'veth', 'peer', 'name', `${name.slice(0, 13)}-p`)
  await tells('it is up', 'link', 'set', name, 'up')
  await tells('IPv4', 'addr', 'add', '198.51.100.3/24', 'dev', name)
  await tells('IPv6', 'addr', 'add', '2001:db8:5::1/64', 'dev', name, 'nodad')
  await tells('a route', 'route', 'add', '192.0.2.0/24', 'dev', name)
  await tells('an IPv6 route', 'route', 'add', '2001:db8:6::/64', 'dev', name)
  await tells('a rule', 'rule', 'add', 'pref', '4999', 'lookup', '4999')
  await tells('it is gone', 'rule', 'del', 'pref', '4999')
  await tells('an IPv6 rule', '-6', 'rule', 'add', 'pref', '4999', 'lookup', '4999')
  await tells('that is gone, too', '-6', 'rule', 'del', 'pref', '4999')
  await new Promise((resolve) => setTimeout(resolve, 1_500)) // the last words of IPv6's own
  const quiet = told
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(told).toBe(quiet)
  await tells('it is gone', 'link', 'del', name)
  watch?.close()
  const closed = told
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name.slice(0, 13)}-p`)
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(told).toBe(closed)
})
