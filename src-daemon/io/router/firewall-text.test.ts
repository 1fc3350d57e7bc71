import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isGroupName } from './firewall.ts'
import { type FirewallFacts, firewallWish } from './firewall-rules.ts'
import { ownerIn, parseSaved, restoreText } from './iptables-text.ts'
import { parseNftListing } from './nftables-output.ts'
import { nftScript } from './nftables-text.ts'
import { plainRouterConfig, type RouterConfig } from './port.ts'

const facts: FirewallFacts = { hostIpv6: true, tunnelIpv6: true, natIpv6: true, groups: [] }
const desired: RouterConfig = {
  ...plainRouterConfig,
  addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
  netfilterMode: 'on',
  udpPort: 41641,
}
const empty = { tables: [], chains: [], rules: [] }
const wish = firewallWish('pintail0', desired, facts)!

test('[RT-11] the order of stock daemons, IPv4 and IPv6', () => {
  expect(wish.v4.input.map(({ verdict }) => verdict)).toEqual(['accept', 'accept', 'accept', 'return', 'drop'])
  expect(wish.v4.forward.map(({ verdict }) => verdict)).toEqual(['set-forward-mark', 'accept', 'drop', 'accept'])
  expect(wish.v6?.input.map(({ verdict }) => verdict)).toEqual(['accept', 'accept', 'accept'])
  expect(wish.v6?.forward.map(({ verdict }) => verdict)).toEqual(['set-forward-mark', 'accept', 'accept'])
  expect(firewallWish('pintail0', { ...desired, netfilterMode: 'off' }, facts)).toBeUndefined()
  expect(firewallWish('pintail0', desired, { ...facts, hostIpv6: false })?.v6).toBeUndefined()
  expect(firewallWish('pintail0', desired, { ...facts, natIpv6: false })?.v6?.postrouting).toEqual([])
})

test('[RT-12] from nothing: what was made is remembered in the same step', () => {
  const lines = nftScript(empty, wish, { madeValidMark: true }).split('\n')
  expect(lines.slice(0, 2)).toEqual(['add table ip filter', 'add chain ip filter ts-input'])
  for (const made of ['ip-filter', 'ip-filter-INPUT', 'ip6-filter-FORWARD', 'src-valid-mark'])
    expect(lines).toContain(`add chain ip pintail made-${made}`)
  expect(lines).toContain('add chain ip pintail owner-pintail0')
  expect(lines).toContain('insert rule ip filter INPUT counter jump ts-input')
  expect(nftScript(empty, undefined, { madeValidMark: false })).toBe('')
})

test('[RT-12] tables of others are used, and theirs stays when we go', () => {
  const chain = { family: 'ip', table: 'filter', name: 'INPUT', hook: 'input', policy: 'drop' }
  const theirs = { ...empty, tables: [{ family: 'ip', name: 'filter' }], chains: [chain] }
  const words = nftScript(theirs, wish, { madeValidMark: false })
  expect(words).not.toContain('made-ip-filter\n')
  expect(words).not.toContain('made-ip-filter-INPUT')
  expect(words).toContain('made-ip-filter-FORWARD')
  const jump = {
    family: 'ip',
    table: 'filter',
    chain: 'INPUT',
    handle: 7,
    jumpsTo: 'ts-input',
    interfaces: [],
    text: '',
  }
  const ours = { ...chain, name: 'ts-input', hook: undefined, policy: undefined }
  const withOurs = { ...theirs, chains: [chain, ours], rules: [jump] }
  expect(nftScript(withOurs, undefined, { madeValidMark: false }).split('\n')).toEqual([
    'delete rule ip filter INPUT handle 7',
    'flush chain ip filter ts-input',
    'delete chain ip filter ts-input',
    '',
  ])
})

test('[RT-13] iptables: our lines among those of others, and back to nothing', () => {
  const saved = parseSaved(`# Generated
*filter
:INPUT DROP [12:34]
:ts-input - [0:0]
:pintail-pintail0 - [0:0]
:DOCKER - [0:0]
-A INPUT -j ts-input
-A INPUT -p tcp -j DOCKER
-A ts-input -i pintail0 -j ACCEPT
COMMIT
*nat
:ts-postrouting - [0:0]
-A POSTROUTING -j ts-postrouting
COMMIT
`)
  expect(saved).toEqual([
    'filter :ts-input',
    'filter :pintail-pintail0',
    'filter -A INPUT -j ts-input',
    'filter -A ts-input -i pintail0 -j ACCEPT',
    'nat :ts-postrouting',
    'nat -A POSTROUTING -j ts-postrouting',
  ])
  expect(ownerIn(saved)).toBe('pintail0')
  const text = restoreText(
    saved,
    undefined,
    { device: 'pintail0', mode: 'off' },
    { hasNat: true, madeValidMark: false },
  )
  expect(text.split('\n')).toEqual([
    '*nat',
    '-D POSTROUTING -j ts-postrouting',
    '-F ts-postrouting',
    '-X ts-postrouting',
    'COMMIT',
    '*filter',
    '-D INPUT -j ts-input',
    '-F ts-input',
    '-X ts-input',
    '-F pintail-pintail0',
    '-X pintail-pintail0',
    'COMMIT',
    '',
  ])
})

test('hostile listings of nft: parsed or refused, and no word that is none gets into a script', () => {
  const word = fc.oneof(
    fc.constantFrom(
      'ip',
      'ip6',
      'filter',
      'pintail',
      'INPUT',
      'FORWARD',
      'ts-input',
      'made-ip-filter',
      'owner-x',
      'accept',
    ),
    fc.constantFrom('INPUT\nflush ruleset', 'x; flush ruleset', '__proto__', 'constructor'),
    fc.integer(),
    fc.string(),
    fc.jsonValue(),
  )
  const keys = ['family', 'table', 'name', 'chain', 'handle', 'hook', 'policy', 'expr']
  const body = fc.dictionary(fc.constantFrom(...keys), word)
  const jump = fc.constant({ expr: [{ counter: {} }, { jump: { target: 'ts-input' } }] })
  const item = fc.oneof(
    fc.record({ table: body }),
    fc.record({ chain: body }),
    fc.record({ rule: fc.tuple(body, jump).map(([a, b]) => ({ ...a, ...b })) }),
    word,
  )
  const command =
    /^((add|delete|flush) (table|chain) ip6? [\w./-]+( [\w./-]+)?( \{.*\})?|(add|insert|delete) rule ip6? (filter|pintail) \S+ .+)?$/
  fc.assert(
    fc.property(fc.array(item), fc.boolean(), (items, isWanted) => {
      const listing = parseNftListing(JSON.stringify({ nftables: items }))
      const script = nftScript(listing, isWanted ? wish : undefined, { madeValidMark: false })
      for (const line of script.split('\n')) {
        expect(line).toMatch(command)
        expect(line).not.toContain('flush ruleset')
      }
    }),
    { numRuns: 2_000 },
  )
})

test('hostile output of iptables-save: what goes back is ours', () => {
  const piece = fc.constantFrom(
    '*filter\n',
    '*nat\n',
    ':ts-input - [0:0]\n',
    '-A INPUT -j ts-input\n',
    ':pintail-x y - [0:0]\n',
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string(), fc.constantFrom('-A ts-input x\n', 'COMMIT\n'))), (pieces) => {
      const saved = parseSaved(pieces.join(''))
      const off = { device: '', mode: 'off' } as const
      const text = restoreText(saved, undefined, off, { hasNat: true, madeValidMark: false })
      for (const line of text.split('\n'))
        expect(line).toMatch(
          /^(\*(filter|nat|mangle)|COMMIT|-D (INPUT|FORWARD|POSTROUTING) -j ts-\w+|-[FX] (ts-|pintail-)\S+|)$/,
        )
    }),
    { numRuns: 2_000 },
  )
})

test('[RT-2] names of control groups', () => {
  for (const good of ['user.slice', 'user.slice/user-1000.slice', 'a/app-x\\x2dy.scope'])
    expect(isGroupName(good)).toBe(true)
  for (const evil of ['', '/', 'a//b', '../x', 'a/../b', 'a"b', 'a\nb', '/a', 'a/'])
    expect(isGroupName(evil)).toBe(false)
})
