import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RootCommand } from './port.ts'
import {
  decodeRootReply,
  decodeRootRequest,
  encodeRootReply,
  encodeRootRequest,
  MAX_REQUEST_BYTES,
  resolverSettings,
} from './request.ts'

const settings = { nameservers: ['100.100.100.100', 'fd7a:115c:a1e0::53'] as never[], searchDomains: ['tail.example'] }
const commands: readonly RootCommand[] = [
  { verb: 'write-resolv-conf', ...settings },
  { verb: 'write-resolv-conf', nameservers: [], searchDomains: [] },
  { verb: 'restore-resolv-conf' },
  { verb: 'add-resolvconf-record', ...settings },
  { verb: 'delete-resolvconf-record' },
]

describe('[PV-3] a command', () => {
  test.each(commands)('there and back: %j', (command) => {
    const line = encodeRootRequest(command)
    expect(line.endsWith('\n')).toBe(true)
    expect(decodeRootRequest(line.slice(0, -1))).toEqual({ ok: true, value: command })
  })

  test('cut at every length it is refused', () => {
    const line = encodeRootRequest(commands[0]!).slice(0, -1)
    for (let length = 0; length < line.length; length++) {
      expect(decodeRootRequest(line.slice(0, length))).toEqual({ ok: false, reason: 'not-json' })
    }
  })
})

describe('[PV-3] refused', () => {
  const write = (members: Record<string, unknown>): string =>
    JSON.stringify({ verb: 'write-resolv-conf', nameservers: [], searchDomains: [], ...members })

  test.each([
    ['unknown-verb', '{"verb":"run","program":"/bin/sh"}'],
    ['unknown-verb', '{"verb":"WRITE-RESOLV-CONF","nameservers":[],"searchDomains":[]}'],
    ['unknown-verb', '{"verb":["restore-resolv-conf"]}'],
    ['unknown-verb', '{"verb":"constructor"}'],
    ['unknown-verb', '{"verb":"__proto__"}'],
    ['unknown-verb', '{}'],
    ['not-an-object', '[]'],
    ['not-an-object', '"restore-resolv-conf"'],
    ['not-an-object', 'null'],
    ['not-json', 'restore-resolv-conf'],
    ['not-json', '{"verb":"restore-resolv-conf"}{"verb":"restore-resolv-conf"}'],
    ['unknown-member', '{"verb":"restore-resolv-conf","folder":"/root"}'],
    ['unknown-member', '{"verb":"restore-resolv-conf","__proto__":{"verb":"x"}}'],
    ['unknown-member', write({ path: '../../etc/shadow' })],
    ['unknown-member', write({ text: 'nameserver 6.6.6.6' })],
    ['unknown-member', '{"verb":"write-resolv-conf","nameservers":[]}'],
    ['nameservers', write({ nameservers: '100.100.100.100' })],
    ['nameservers', write({ nameservers: [1684300900] })],
    ['nameservers', write({ nameservers: Array.from({ length: 17 }, () => '100.100.100.100') })],
    ['nameserver', write({ nameservers: ['100.100.100.100\nnameserver 6.6.6.6'] })],
    ['nameserver', write({ nameservers: ['100.100.100.100 # x'] })],
    ['nameserver', write({ nameservers: ['0100.100.100.100'] })],
    ['nameserver', write({ nameservers: ['100.100.100.100:53'] })],
    ['nameserver', write({ nameservers: ['fe80::1%eth0'] })],
    ['nameserver', write({ nameservers: ['FD7A::1'] })],
    ['nameserver', write({ nameservers: ['dns.example'] })],
    ['nameserver', write({ nameservers: [''] })],
    ['search-domains', write({ searchDomains: { length: 1, 0: 'a' } })],
    ['search-domains', write({ searchDomains: Array.from({ length: 65 }, () => 'a.example') })],
    ['search-domain', write({ searchDomains: ['a.example\noptions debug'] })],
    ['search-domain', write({ searchDomains: ['a.example options'] })],
    ['search-domain', write({ searchDomains: ['../../etc/passwd'] })],
    ['search-domain', write({ searchDomains: ['$(reboot).example'] })],
    ['search-domain', write({ searchDomains: ['a..example'] })],
    ['search-domain', write({ searchDomains: ['A.example'] })],
    ['search-domain', write({ searchDomains: [''] })],
    ['search-domain', write({ searchDomains: ['x'.repeat(64)] })],
    ['search-domain', write({ searchDomains: ['\u0430.example'] })],
    ['too-long', write({ searchDomains: ['x'.repeat(MAX_REQUEST_BYTES)] })],
  ])('%s: %.120s', (reason, line) => {
    expect(decodeRootRequest(line)).toEqual({ ok: false, reason })
  })

  test('whatever the bytes: never more than the five forms, and never an exception', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        const decoded = decodeRootRequest(line)
        if (decoded.ok) expect(commands.map(({ verb }) => verb)).toContain(decoded.value.verb)
      }),
    )
  })
})

test('[PV-3] what a network wishes and no resolv.conf could hold is left out before it is sent', () => {
  expect(
    resolverSettings({
      nameservers: ['100.100.100.100', 'nonsense', '1.2.3.4\nnameserver 6.6.6.6'] as never[],
      searchDomains: ['tail.example', 'evil\nnameserver 6.6.6.6', 'UPPER', '..'],
    }),
  ).toEqual({ nameservers: ['100.100.100.100'], searchDomains: ['tail.example'] })
})

test.each([
  [{ kind: 'done' }, { ok: true, value: { kind: 'done' } }],
  [
    { kind: 'failed', message: 'x' },
    { ok: true, value: { kind: 'failed', message: 'x' } },
  ],
] as const)('[PV-3] a reply there and back: %j', (result, decoded) => {
  expect(decodeRootReply(encodeRootReply(result).trim())).toEqual(decoded)
})

test.each(['', '{}', '{"kind":"failed"}', '{"kind":"unreachable","message":"x"}', '[]'])(
  '[PV-3] not a reply: %j',
  (line) => {
    expect(decodeRootReply(line).ok).toBe(false)
  },
)
