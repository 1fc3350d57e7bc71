/** `pintail dns`, word by word. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { DnsConfig } from '../../src-contract/control/map.ts'
import type { DnsReport } from '../../src-contract/localapi/dns.ts'
import { toBase64 } from '../../src-protocol/wire/bytes.ts'
import { decodeDnsQuery, encodeDnsQuery, encodeDnsReply, type OwnReply } from '../../src-protocol/wire/dns.ts'
import { addressRecord } from '../../src-protocol/wire/dns-record.ts'
import { runCli } from '../cli.ts'
import { FakeDaemon, runningStatus } from '../fake-daemon.lab.ts'
import type { Terminal } from '../verb.ts'
import { pintail } from '../verbs.ts'

let folder: string
let daemon: FakeDaemon
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-dns-'))
  daemon = new FakeDaemon(join(folder, 'd.sock'))
  daemon.status = runningStatus()
  daemon.prefs = { ...daemon.prefs, CorpDNS: true }
  await daemon.listen()
})
afterEach(async () => {
  daemon.close()
  await rm(folder, { recursive: true, force: true })
})

async function dns(line: string, files: { readonly [path: string]: string } = {}, isInteractive = false) {
  const seen = { out: '', err: '' }
  const terminal: Terminal = {
    out: (text) => {
      seen.out += text
    },
    err: (text) => {
      seen.err += text
    },
    draw: () => {},
    env: { HOME: '/home/ann' },
    uid: 1000,
    isInteractive,
    platform: 'linux',
    interrupted: new AbortController().signal,
    now: () => 0,
    sleep: async () => {},
    confirm: async () => false,
    readFile: async (path) => {
      const text = files[path]
      if (text === undefined) throw new Error('ENOENT')
      return text
    },
    readInput: async () => '',
    localAddresses: () => [],
    resolveHost: async () => [],
    graceMs: 0,
  }
  const code = await runCli([`--socket=${daemon.socketPath}`, 'dns', ...line.split(' ')], terminal, pintail)
  return { code, ...seen }
}

const config: DnsConfig = {
  Proxied: true,
  Domains: ['tail.example'],
  Routes: { 'corp.example': [{ Addr: '10.0.0.53' }], 'tail.example': [] },
}
const report: DnsReport = {
  mode: 'systemd-resolved',
  why: 'it runs, and resolv.conf leads to it',
  canSplit: true,
  names: 3,
  localDomains: ['tail.example'],
  routes: { 'corp.example': ['10.0.0.53'] },
  defaults: [],
  systemVerdict: 'asks us',
  counters: { own: 1, browsers: 0, cached: 0, forwarded: 0, failed: 0, malformed: 0 },
}
function answerAll(more: Partial<DnsReport> = {}): void {
  daemon.answers.set('GET dns-config', () => [200, config])
  daemon.answers.set('GET dns-osconfig', () => [
    200,
    { Nameservers: ['192.0.2.53'], SearchDomains: ['old.example'], MatchDomains: [] },
  ])
  daemon.answers.set('GET pintail/dns', () => [200, { ...report, ...more }])
}

describe('pintail dns status', () => {
  test('help', async () => {
    expect((await dns('status --help')).out).toMatchInlineSnapshot(`
      "Usage: pintail dns status [flags]

      Show the DNS configuration of the network and of this machine

      Says at its end whether programs of this system ask Pintail at all, and which browsers of yours do
      not: one with a DNS provider of its own (DNS over HTTPS) does not find names of this network.

      Options:
        --all[=false]   also what is rarely of interest (default false)
        -h, --help      show this help
        --json[=false]  print JSON (default false)

      Examples:
        $ pintail dns status
        $ pintail dns status --all
        $ pintail dns status --json

      "
    `)
  })
  test('all is well', async () => {
    answerAll()
    const { code, out, err } = await dns('status')
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatchInlineSnapshot(`
      "
      === 'Use Pintail DNS' status ===

      Pintail DNS: enabled.

      Pintail is configured to handle DNS queries on this device.
      Run 'pintail set --accept-dns=false' to revert to your system default DNS resolver.

      === MagicDNS configuration ===

      This is the DNS configuration provided by the coordination server to this device.

      MagicDNS: enabled tailnet-wide (suffix = example.ts.net)

      Other devices in your tailnet can reach this device at air.example.ts.net.

      Resolvers (in preference order):
        (no resolvers configured, system default will be used: see 'System DNS configuration' below)

      Split DNS Routes:
        - corp.example                   -> 10.0.0.53

      Search Domains:
        - tail.example

      === System DNS configuration ===

      This is the DNS configuration that Pintail believes your operating system is using.
      Pintail may use this configuration if 'Override Local DNS' is disabled in the admin console,
      or if no resolvers are provided by the coordination server.

      Nameservers:
        - 192.0.2.53

      Search domains:
        - old.example

      [this is a preliminary version of this command; the output format may change in the future]

      === Use by this system ===

      Told by: systemd-resolved (it runs, and resolv.conf leads to it)
      Programs of this system ask Pintail: a test question has arrived.

      Browsers: one that has been given a DNS provider of its own (DNS over HTTPS) never asks the system, and does not find
      names of this network. By default none does: Firefox asks beforehand, Chrome and its kin keep to the system.

      "
    `)
  })
  test('[DNS-15] [DNS-17] the system asks others, and a browser does, too', async () => {
    answerAll({ systemVerdict: 'asks others' })
    const { out } = await dns('status', {
      '/home/ann/.config/chromium/Local State':
        '{"dns_over_https":{"mode":"secure","templates":"https://x.example/q"}}',
    })
    expect(out.slice(out.indexOf('=== Use by'))).toMatchInlineSnapshot(`
      "=== Use by this system ===

      Told by: systemd-resolved (it runs, and resolv.conf leads to it)
      Programs of this system do NOT ask Pintail: a test question went elsewhere. Look at /etc/resolv.conf, at the line
      'hosts:' in /etc/nsswitch.conf, and for another VPN or a firewall that catches port 53. 'pintail dns query NAME' works
      all the same: it asks the resolver directly.

      Browsers with a DNS provider of their own, which do not find names of this network:
        - Chromium asks https://x.example/q only (/home/ann/.config/chromium/Local State)
          Settings > Privacy and security > Security > Use secure DNS: off, or the current service provider

      "
    `)
  })
  test('a daemon that does not know of it, or names that are not accepted: as the stock one', async () => {
    answerAll()
    daemon.answers.set('GET pintail/dns', () => [404, 'not found\n'])
    expect((await dns('status')).out).not.toContain('Use by')
    answerAll()
    daemon.prefs = { ...daemon.prefs, CorpDNS: false }
    expect((await dns('status')).out).not.toContain('Use by')
  })
  test('--json', async () => {
    answerAll()
    expect(JSON.parse((await dns('status --json')).out)).toMatchInlineSnapshot(`
      {
        "CurrentTailnet": {
          "MagicDNSEnabled": true,
          "MagicDNSSuffix": "example.ts.net",
          "SelfDNSName": "air.example.ts.net.",
        },
        "PintailCheck": {
          "Mode": "systemd-resolved",
          "StubbornBrowsers": [],
          "SystemVerdict": "asks us",
          "Why": "it runs, and resolv.conf leads to it",
        },
        "SearchDomains": [
          "tail.example",
        ],
        "SplitDNSRoutes": {
          "corp.example": [
            {
              "Addr": "10.0.0.53",
            },
          ],
        },
        "SystemDNS": {
          "MatchDomains": [],
          "Nameservers": [
            "192.0.2.53",
          ],
          "SearchDomains": [
            "old.example",
          ],
        },
        "TailscaleDNS": true,
      }
    `)
  })
})

describe('pintail dns query', () => {
  const says = (reply: OwnReply, resolvers: string[] = []): void => {
    daemon.answers.set('GET dns-query', (_, url) => {
      const query = decodeDnsQuery(encodeDnsQuery(0, url.searchParams.get('name') ?? '', 1)!)
      if (!query.ok) return [400, query.reason]
      const Bytes = toBase64(encodeDnsReply(query.value, reply, 65_535))
      return [200, { Bytes, Resolvers: resolvers.map((Addr) => ({ Addr })) }]
    })
  }
  const nas = { rcode: 0, answers: [{ ...addressRecord('100.64.0.2')!, ttlSeconds: 5 }] }
  test('help', async () => {
    expect((await dns('query --help')).out).toMatchInlineSnapshot(`
      "Usage: pintail dns query <name> [type]

      Ask this machine's resolver

      Asks the resolver of the daemon directly, whatever the system asks, and shows who answered: the
      daemon itself (the name is of this network), or a server. A name without a dot is a machine of this
      network; "com." is taken as it is. Types: A (default), AAAA, ALL, CNAME, HINFO, MX, NS, PTR, SOA,
      SRV, TXT.

      Options:
        -h, --help      show this help
        --json[=false]  print JSON (default false)

      Examples:
        $ pintail dns query nas
        $ pintail dns query example.com MX
        $ pintail dns query --json nas.example.net AAAA

      "
    `)
  })
  test('a name of this network, one of a split zone, and one that is not there', async () => {
    says(nas)
    expect((await dns('query nas.tail.example')).out).toMatchInlineSnapshot(`
      "DNS query for "nas.tail.example" (A) using internal resolver:

      Multiple resolvers available:

      Response code: RCodeSuccess

      Name               TTL  Class      Type   Body
      ----               ---  -----      ----   ----
      nas.tail.example.  5    ClassINET  TypeA  100.64.0.2

      "
    `)
    says(nas, ['10.0.0.53'])
    expect((await dns('query wiki.corp.example')).out).toMatchInlineSnapshot(`
      "DNS query for "wiki.corp.example" (A) using internal resolver:

      Forwarding to resolver: 10.0.0.53

      Response code: RCodeSuccess

      Name                TTL  Class      Type   Body
      ----                ---  -----      ----   ----
      wiki.corp.example.  5    ClassINET  TypeA  100.64.0.2

      "
    `)
    says({ rcode: 3 })
    expect((await dns('query nobody.tail.example')).out).toMatchInlineSnapshot(`
      "DNS query for "nobody.tail.example" (A) using internal resolver:

      Multiple resolvers available:

      Response code: RCodeNameError

      No answers were returned.
      "
    `)
  })
  test('a name without a dot is a machine; with one at its end it is taken as it is', async () => {
    says(nas)
    const suffix = daemon.status.CurrentTailnet?.MagicDNSSuffix
    expect((await dns('query nas')).out).toMatch(new RegExp(`^DNS query for "nas.${suffix}" [^]*\\nnas.${suffix}. `))
    expect((await dns('query com.')).out).toContain('DNS query for "com." (A)')
    daemon.status = { ...daemon.status, CurrentTailnet: null }
    says({ rcode: 2 })
    expect((await dns('query nas')).out).toContain('DNS query for "nas" (A)')
  })
  test('at a terminal: who answered when nobody was asked; scripts get the stock text', async () => {
    says(nas)
    const [here, nobody] = [
      'Answered here: the name belongs to this network.',
      'No resolver is known that could be asked',
    ]
    expect((await dns('query nas.tail.example', {}, true)).out).toContain(here)
    expect((await dns('query nas.tail.example')).out).not.toContain(here)
    says({ rcode: 2 })
    expect((await dns('query nas.tail.example', {}, true)).out).toContain(nobody)
  })
  test('--json', async () => {
    says(nas, ['10.0.0.53'])
    expect(JSON.parse((await dns('query --json wiki.corp.example')).out)).toMatchInlineSnapshot(`
      {
        "Answers": [
          {
            "Body": "100.64.0.2",
            "Class": "ClassINET",
            "Name": "wiki.corp.example.",
            "TTL": 5,
            "Type": "TypeA",
          },
        ],
        "Name": "wiki.corp.example",
        "QueryType": "A",
        "Resolvers": [
          {
            "Addr": "10.0.0.53",
          },
        ],
        "ResponseCode": "RCodeSuccess",
      }
    `)
  })
  test('no name, too many words, a type nobody knows, and bytes that are no message', async () => {
    expect(await dns('query')).toMatchObject({ code: 1, err: 'missing required argument: name\n' })
    expect((await dns('query a A b')).err).toContain('unexpected extra arguments: b')
    daemon.answers.set('GET dns-query', () => [400, 'unknown record type "X"\n'])
    expect((await dns('query a X')).err).toContain('failed to query DNS: unknown record type')
    daemon.answers.set('GET dns-query', () => [200, { Bytes: 'AAAA', Resolvers: [] }])
    expect((await dns('query a')).err).toContain('failed to parse DNS response: dns-short')
  })
})
