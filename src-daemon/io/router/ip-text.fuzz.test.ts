/**
 * What `ip`, `nft` and `iptables-save` print, changed at random: other programs put names and numbers into it. Whatever
 * comes out of our readers may go back into commands, so it must be words that we would have written ourselves.
 */
import { expect, test, vi } from 'vitest'
import { fuzz, mutateText } from '../../../src-protocol/wire/fuzz-kit.lab.ts'
import { parsePrefix } from '../../../src-protocol/wire/ip.ts'
import { parseForeign } from '../foreign-routes/linux.ts'
import { readLinks, readRoutes, readRules } from '../route-view/ip-json.ts'
import { parseInterfaces, parseRoutes, parseRules } from './ip-output.ts'
import { parseSaved } from './iptables-text.ts'
import { parseNftListing } from './nftables-output.ts'

/** Of work, not of waiting: a busy machine gets more. */
vi.setConfig({ testTimeout: 120_000 })

const RULES = [
  '[{"priority":0,"src":"all","table":"255"},{"priority":5000,"src":"all","dst":"10.0.0.0","dstlen":16,"table":"254","protocol":"152"}]',
  '[{"priority":5210,"src":"all","fwmark":"0x80000","fwmask":"0xff0000","table":"254","protocol":"152"},{"priority":5270,"src":"all","table":"52","protocol":"152"}]',
  '[{"priority":5000,"src":"all","uid_start":1000,"uid_end":1000,"table":"254","protocol":"152"},{"priority":5250,"src":"all","fwmark":"0x80000","fwmask":"0xff0000","action":"7","protocol":"152"}]',
  '[{"priority":99,"src":"10.1.0.0","srclen":16,"iif":"wt0","table":"wt","protocol":"3"},{"priority":1001,"src":"all","fwmark":"0x100","fwmask":"0x3f00","table":"1"}]',
]
const ROUTES = [
  '[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","protocol":"16","prefsrc":"192.0.2.7","metric":100,"flags":[]},{"type":"2","dst":"127.0.0.0/8","dev":"lo","table":"255","protocol":"2","scope":"254","prefsrc":"127.0.0.1","flags":[]}]',
  '[{"dst":"100.64.0.7","dev":"pintail0","protocol":"152","table":"52","flags":[]},{"type":"7","dst":"default","protocol":"152","metric":60000},{"type":"9","dst":"10.0.0.0/8","protocol":"152"}]',
  '[{"dst":"10.0.0.0/16","dev":"wt0","protocol":"kernel","scope":"link","prefsrc":"10.0.0.2","flags":["linkdown"]},{"dst":"fd00::/64","dev":"wt0","protocol":"2","metric":256,"flags":[],"pref":"medium"}]',
  '[{"dst":"10.3.0.0/16","flags":[],"nexthops":[{"gateway":"192.0.2.1","dev":"eth0","weight":1,"flags":[]},{"gateway":"192.0.2.2","dev":"eth1","weight":1,"flags":[]}]}]',
]
const LINKS = [
  '[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP"],"mtu":65536,"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"254"}]}]',
  '[{"ifindex":7,"ifname":"wt0","flags":["POINTOPOINT","UP"],"mtu":1280,"linkinfo":{"info_kind":"wireguard"},"addr_info":[{"family":"inet","local":"10.0.0.2","prefixlen":16,"scope":"0"}]}]',
  '[{"ifindex":9,"ifname":"pintail0","flags":["UP"],"mtu":1280,"linkinfo":{"info_kind":"tun","info_data":{"type":"tun"}},"addr_info":[{"family":"inet6","local":"fd7a:115c:a1e0::5","prefixlen":128,"scope":"global"}]}]',
]
const ALPHABET = '[]{}",:0123456789abfx./- \n\\\u0000\u00e9'
const ours =
  /^[46] pref \d{1,16}( to [0-9a-f.:]+\/\d{1,3})?( uidrange \d{1,16}-\d{1,16})?( fwmark 0x[0-9a-f]{1,8}\/0x[0-9a-f]{1,8})?( unreachable| lookup [\w.-]{1,32})?$/

/** Undefined: it was refused as no list. Anything else that is thrown is a fault. */
function read<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof SyntaxError || /something (that|unexpected)/.test(String(error))) return undefined
    throw error
  }
}

function expectPrefix(text: string): void {
  if (!parsePrefix(text).ok) throw new Error(`not a prefix: ${JSON.stringify(text)}`)
}

test('rules and routes: refused, or words of ours', () => {
  let taken = 0
  fuzz(
    15_000,
    (random) => mutateText(random, [...RULES, ...ROUTES], ALPHABET),
    (text, random) => {
      const family = random.pick([4, 6] as const)
      const rules = read(() => parseRules(text, family))
      for (const rule of rules?.ours ?? []) if (!ours.test(rule)) throw new Error(`not a rule of ours: ${rule}`)
      const routes = read(() => parseRoutes(text, family))
      for (const prefix of routes?.ours.keys() ?? []) expectPrefix(prefix)
      if (rules !== undefined && rules.ours.length > 0) taken++
      for (const readAll of [readRules, readRoutes]) {
        const found = readAll(text, family)
        if (found.ok && found.value.odd < 0) throw new Error('fewer than none')
      }
    },
  )
  expect(taken).toBeGreaterThan(300)
})

test('interfaces and what leads into them: refused, or prefixes of others that are routes', () => {
  let taken = 0
  fuzz(
    15_000,
    (random) => [mutateText(random, LINKS, ALPHABET), mutateText(random, ROUTES, ALPHABET)] as const,
    ([links, routes]) => {
      for (const { addresses, mtuBytes } of read(() => parseInterfaces(links)) ?? []) {
        for (const address of addresses) expectPrefix(`${address}/${address.includes(':') ? 128 : 32}`)
        if (!Number.isSafeInteger(mtuBytes) || mtuBytes < 0) throw new Error(`MTU ${mtuBytes}`)
      }
      readLinks(links)
      for (const { name, prefixes } of parseForeign(links, [routes], 'pintail0')) {
        if (name === 'pintail0') throw new Error('that is ours')
        for (const prefix of prefixes) expectPrefix(prefix)
        taken += prefixes.length
      }
    },
  )
  const bare = parseForeign(LINKS[1]!, ROUTES, 'pintail0')
  expect(bare).toEqual([{ name: 'wt0', isTunnel: true, prefixes: ['10.0.0.0/16', 'fd00::/64'] }])
  expect(taken).toBeGreaterThan(0)
})

test('firewall listings: refused, or names of one word', () => {
  const nft = [
    '{"nftables":[{"metainfo":{"version":"1.0.6"}},{"table":{"family":"ip","name":"filter","handle":1}},{"chain":{"family":"ip","table":"filter","name":"ts-input","handle":2}}]}',
    '{"nftables":[{"rule":{"family":"ip","table":"filter","chain":"INPUT","handle":5,"expr":[{"counter":{"packets":1,"bytes":2}},{"jump":{"target":"ts-input"}}]}},{"rule":{"family":"ip","table":"filter","chain":"ts-input","handle":6,"expr":[{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"pintail0"}},{"accept":null}]}}]}',
  ]
  fuzz(
    12_000,
    (random) => mutateText(random, nft, ALPHABET),
    (text) => {
      const listing = read(() => parseNftListing(text))
      const words = listing?.rules.flatMap(({ family, table, chain, jumpsTo }) => [
        family,
        table,
        chain,
        jumpsTo ?? 'x',
      ])
      for (const word of [...(words ?? []), ...(listing?.chains.map(({ name }) => name) ?? [])]) {
        if (!/^[\w./-]+$/.test(word)) throw new Error(`not a word: ${JSON.stringify(word)}`)
      }
    },
  )
  const saved = [
    '*filter\n:INPUT ACCEPT [0:0]\n:ts-input - [0:0]\n-A INPUT -j ts-input\n-A ts-input -i lo -j ACCEPT\nCOMMIT\n',
  ]
  fuzz(
    8_000,
    (random) => mutateText(random, saved, '*:-A \ntsinpu-\u0000'),
    (text) => {
      for (const line of parseSaved(text)) if (line.includes('\n')) throw new Error('two lines in one')
    },
  )
})

test('long output takes no time, and no more is kept than there is room for', () => {
  const route = (i: number) => ({ dst: `10.${(i >> 8) & 255}.${i & 255}.0/24`, dev: 'wt0', protocol: '3' })
  const many = JSON.stringify(Array.from({ length: 50_000 }, (_, i) => route(i)))
  const nested = `[${'{"dst":['.repeat(20_000)}${']}'.repeat(20_000)}]`
  const started = process.cpuUsage()
  expect(parseForeign(LINKS[1]!, [many, nested], undefined)[0]?.prefixes).toHaveLength(1_000)
  read(() => parseRoutes(nested, 4))
  read(() => parseRules(many, 4))
  expect(parseRoutes(many, 4).foreignDevices).toEqual(['wt0'])
  expect(process.cpuUsage(started).user / 1000).toBeLessThan(5_000)
})
