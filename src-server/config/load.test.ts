import { expect, test } from 'vitest'
import { parseDurationMs } from './duration.ts'
import { exampleConfig } from './example.ts'
import { ConfigError, parseConfig } from './load.ts'
import { configSchema } from './schema.ts'

const problem = (text: string) => {
  try {
    parseConfig(text, 'c.yaml')
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  return 'accepted'
}

test('[SRV-1.1] one key is enough', () => {
  const config = parseConfig('server_url: http://192.0.2.1:8080/')
  expect(config.server_url).toBe('http://192.0.2.1:8080')
  expect(config.listen_addr).toEqual({ host: undefined, port: 8080 })
  expect(config.prefixes).toEqual({ v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48' })
  expect(config.preauth_keys.expiration).toBe(3_600_000)
  expect(config.derp.server).toMatchObject({ enabled: true, region_id: 999, stun_listen: { port: 3478 } })
})

test('[SRV-1.2] complaints name line, key and what was expected', () => {
  expect(problem('listen_addr: :80')).toBe('c.yaml: server_url: missing; expected string')
  expect(problem('server_url: ftp://x')).toBe(
    'c.yaml:1: server_url: expected https://HOST[:PORT] or http://HOST[:PORT] without a path',
  )
  expect(problem('server_url: http://x\n\nprefixes:\n  v4: 10.0.0.0/8')).toBe(
    'c.yaml:4: prefixes.v4: expected 100.64.0.0/10 or a part of it, in the form ADDRESS/BITS',
  )
  expect(problem('server_url: http://x\ndns:\n  magic_dns: true\n  base_domian: a.b')).toBe(
    'c.yaml:4: dns.base_domian: unknown key',
  )
  expect(problem('server_url: http://x\nnode: {expiry: soon}')).toBe(
    'c.yaml:2: node.expiry: expected a duration such as 90s, 1h30m, 180d, or 0',
  )
  expect(
    problem(
      'server_url: http://x\nderp:\n  regions:\n    - region_id: 0\n      region_code: a\n      region_name: b\n      nodes: [{name: a, hostname: b}]',
    ),
  ).toMatch(/^c\.yaml:4: derp\.regions\.0\.region_id: /)
  expect(problem('server_url: [')).toMatch(/^c\.yaml:\d+: not valid YAML/)
  expect(problem('server_url: http://x\nserver_url: http://y')).toMatch(/not valid YAML/)
  expect(problem('- a')).toMatch(/the file: .*expected object/)
})

test('[SRV-1.3] a base domain that holds the server is refused', () => {
  expect(problem('server_url: https://vpn.example.com\ndns: {base_domain: example.com}')).toMatch(
    /^c\.yaml:2: dns\.base_domain: must not contain/,
  )
})

test('[SRV-1.4] no relay at all is refused', () => {
  expect(problem('server_url: http://x\nderp: {server: {enabled: false}}')).toMatch(/at least one relay/)
})

test('[SRV-1.2] DNS, approvals and attributes: what is wrong, and what was expected', () => {
  const about = (text: string) => problem(`server_url: http://x\n${text}`)
  for (const [text, complaint] of [
    [
      'dns: {nameservers: {global: [dns.google]}}',
      /^c\.yaml:2: dns\.nameservers\.global\.0\.address: expected an IP add/,
    ],
    ['dns: {nameservers: {global: [100.100.100.100]}}', /which is the client itself/],
    ['dns: {nameservers: {global: ["10.0.0.1:99999"]}}', /ADDRESS:PORT/],
    ['dns: {nameservers: {fallback: [7]}}', /fallback\.0: expected an address such as 9\.9\.9\.9/],
    ['dns: {nameservers: {global: [https://dns.corp.example/q]}}', /bootstrap: \[192\.0\.2\.53\]/],
    [
      'dns: {nameservers: {global: [{address: 9.9.9.9, use_with_exit: true}]}}',
      /global\.0\.use_with_exit: unknown key/,
    ],
    ['dns: {nameservers: {split: {.corp.example: []}}}', /split\."\.corp\.example": expected a lower-case domain/],
    ['dns: {nameservers: {split: {pintail.internal: [10.0.0.1]}}}', /is base_domain.*use extra_records/],
    ['dns: {search_domains: ["corp example"]}', /search_domains\.0: expected a lower-case domain/],
    ['dns: {extra_records: [{name: a.b, type: A, value: "::1"}]}', /value: expected an IPv4 address with type A/],
    ['dns: {extra_records: [{name: a.b, type: MX, value: 192.0.2.1}]}', /extra_records\.0\.type/],
    ['auto_approve: {routes: {10.0.0.1/8: [alice]}}', /expected a network such as 10\.0\.0\.0\/8, without host bits/],
    ['auto_approve: {routes: {10.0.0.0/8: []}}', /auto_approve\.routes/],
    ['auto_approve: {exit_node: ["group:x"]}', /exit_node\.0: expected a tag \(tag:router\), the name of a user/],
    ['auto_approve: {exit_node: ["*"]}', /exit_node\.0: expected a tag/],
    [
      'node_attributes: [{target: ["*"], attr: [magic-dns-aaaa]}]',
      /know no attribute "magic-dns-aaaa"; expected one of/,
    ],
    ['node_attributes: [{target: [], attr: [magicdns-aaaa]}]', /node_attributes\.0\.target/],
  ] as const)
    expect(about(text), text).toMatch(complaint)
  const fine = about(
    'dns: {nameservers: {global: [9.9.9.9, "[2620:fe::fe]:53", https://dns.quad9.net/dns-query], split: {a: []}}, extra_records: [{name: a.b, type: AAAA, value: "::1"}]}\nauto_approve: {routes: {0.0.0.0/0: [alice@example.com, "tag:x", "node:nas"]}}',
  )
  expect(fine).toBe('accepted')
})

test('[SRV-1.2] a key of a map that is wrong: its line, the key itself, and why', () => {
  const text = `server_url: http://x
dns:
  nameservers:
    split:
      corp.example.com: [10.0.0.53]
      .lab.example: [10.0.0.53]
      Lab: []
      "": []
      ${'a'.repeat(300)}: []
auto_approve:
  routes:
    10.0.0.0/8: [alice]
    10.0.0.1/8: [alice]
    office: ["group:x"]
`
  const domain = 'expected a lower-case domain such as corp.example.com, without dots at its ends'
  const network = 'expected a network such as 10.0.0.0/8, without host bits'
  const who = 'expected a tag (tag:router), the name of a user (alice), or a node (node:nas)'
  expect(problem(text).split('\n')).toEqual([
    `c.yaml:6: dns.nameservers.split.".lab.example": ${domain}`,
    `c.yaml:7: dns.nameservers.split.Lab: ${domain}`,
    `c.yaml:8: dns.nameservers.split."": ${domain}`,
    `c.yaml:9: dns.nameservers.split.${'a'.repeat(300)}: expected a domain of at most 253 characters; ${domain}`,
    `c.yaml:13: auto_approve.routes."10.0.0.1/8": ${network}`,
    `c.yaml:14: auto_approve.routes.office: ${network}`,
  ])
  expect(problem(`server_url: http://x\nauto_approve: {routes: {10.0.0.0/8: ["group:x"]}}`)).toBe(
    `c.yaml:2: auto_approve.routes."10.0.0.0/8".0: ${who}`,
  )
})

test('[SRV-1.5] the commented file lists every key, and uncommenting it is accepted', () => {
  const text = exampleConfig('http://192.0.2.1:8080')
  parseConfig(text)
  const uncommented = text.replace(/^# (?=( *)[a-z_0-9]+:( |$))/gm, '')
  parseConfig(uncommented)
  const keys = (schema: unknown): string[] => {
    const inner = schema as { def?: { innerType?: unknown; shape?: object; in?: unknown } }
    const shape = (schema as { shape?: { [key: string]: unknown } }).shape
    if (shape) return Object.entries(shape).flatMap(([key, value]) => [key, ...keys(value)])
    if (inner.def?.innerType) return keys(inner.def.innerType)
    return []
  }
  for (const key of keys(configSchema)) expect(text, key).toMatch(new RegExp(`\\b${key}:`))
})

test('durations', () => {
  expect(parseDurationMs('1h30m')).toBe(5_400_000)
  expect(parseDurationMs('250ms')).toBe(250)
  expect(parseDurationMs('0')).toBe(0)
  for (const bad of ['', '1', '-1s', '1 h', 'h', '1h garbage']) expect(parseDurationMs(bad)).toBeUndefined()
})
