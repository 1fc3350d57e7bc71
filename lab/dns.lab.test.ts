/**
 * Names on a real machine: its own resolver, `dig` and `getent` ask our daemon through a resolv.conf that the daemon
 * keeps and gives back. One of the peers is a stock node where there is one.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { execute } from './host.ts'
import { Internet } from './internet.ts'
import { type MachineView, machineView } from './machine-view.ts'
import { type NameServer, startNameServer } from './name-server.ts'

const pintail = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))
const hasStock = stockProgram('tailscaled') !== undefined
const original =
  '# caf\xe9\nnameserver 203.0.113.53\nnameserver 203.0.113.54\nsearch old.example\noptions timeout:2 attempts:1\n'

/** DNS settings follow within a moment; a slow machine gets more of them. */
const soon = (what: string, happened: () => Promise<true | undefined>): Promise<true> =>
  eventually(what, happened, { withinMs: 10_000, everyMs: 100 })

describe('names in a network', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  let internet: Internet
  let control: ControlServer
  let machine: MachineView
  let ours: Daemon
  let other: Daemon
  let key: string
  const servers: NameServer[] = []

  beforeAll(async () => {
    internet = await Internet.create()
    control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      config: {
        dns: {
          base_domain: 'demo.internal',
          nameservers: { split: { 'corp.example': ['203.0.113.55'] } },
          extra_records: [{ name: 'grafana.demo.internal', type: 'A', value: '100.64.0.77' }],
        },
      },
    })
    key = await control.createKey()
    const world = await internet.publicHost('world', ['203.0.113.53', '203.0.113.54', '203.0.113.55'])
    servers.push(
      await startNameServer(world.host, { address: '203.0.113.53', zones: {}, manner: 'dead' }),
      await startNameServer(world.host, {
        address: '203.0.113.54',
        zones: {
          'www.example.com': '198.51.100.1',
          'long.example.com': '198.51.100.2',
          'intra.old.example': '198.51.100.3',
        },
        manner: 'truncates long.',
      }),
      await startNameServer(world.host, {
        address: '203.0.113.55',
        zones: { 'wiki.corp.example': '198.51.100.9' },
        manner: 'fine',
      }),
    )
    machine = await machineView((await internet.publicHost('ours')).host)
    await machine.writeEtc('resolv.conf', original)
    ours = await Daemon.start(machine.host, { kind: 'ours', folder: join(folder, 'o') })
    other = await Daemon.start((await internet.publicHost('other')).host, {
      kind: hasStock ? 'stock' : 'ours',
      folder: join(folder, 's'),
    })
    await ours.join(control.url, key, { Hostname: 'Laptop', CorpDNS: true })
    await other.join(control.url, key, { Hostname: 'nas' })
    await ours.icmp(await other.address(), { count: 1, waitSeconds: 5 })
    await soon('resolv.conf is ours', async () =>
      (await machine.readEtc('resolv.conf')).includes('100.100.100.100') ? true : undefined,
    )
  })
  afterAll(async () => {
    await Promise.all([ours?.stop(), other?.stop()])
    for (const server of servers) server.stop()
    await control?.stop()
    await internet?.close()
    discard(folder)
  })

  const dig = async (...words: string[]): Promise<string> =>
    (await machine.run('dig', ['+short', '+tries=1', '+time=5', ...words])).stdout.trim()
  const getent = async (name: string): Promise<string> =>
    (await machine.run('getent', ['ahostsv4', name])).stdout.split(/\s+/)[0] ?? ''

  test('full names, short names, any spelling, by every way to ask', async () => {
    const address = await other.address()
    expect(await getent('nas')).toBe(address)
    expect(await getent('NAS.Demo.Internal')).toBe(address)
    expect(await dig('@100.100.100.100', 'nas.demo.internal')).toBe(address)
    expect(await dig('@100.100.100.100', '+tcp', 'nas.demo.internal')).toBe(address)
    expect(await dig('@fd7a:115c:a1e0::53', 'nas.demo.internal')).toBe(address)
    expect(await dig('@fd7a:115c:a1e0::53', '+tcp', 'nas.demo.internal')).toBe(address)
    expect(await dig('laptop.demo.internal')).toBe(await ours.address())
    expect(await dig('grafana.demo.internal')).toBe('100.64.0.77')
    expect(await dig('-x', address)).toBe('nas.demo.internal.')
    const nobody = await machine.run('dig', ['nobody.demo.internal'])
    expect(nobody.stdout).toContain('status: NXDOMAIN')
  })

  test('[F15] what the first server never answers comes from the second; what is long comes over TCP', async () => {
    const started = performance.now()
    expect(await dig('www.example.com')).toBe('198.51.100.1')
    expect(performance.now() - started).toBeLessThan(3_000)
    expect(await dig('long.example.com')).toBe('198.51.100.2')
    expect(await getent('intra')).toBe('198.51.100.3') // the search domain of before is kept
  })

  test('a split zone is asked at its own server', async () => {
    expect(await dig('wiki.corp.example')).toBe('198.51.100.9')
    const answer = (await ours.client.json('GET', 'dns-query?name=wiki.corp.example&type=A')) as { Resolvers: unknown }
    expect(answer.Resolvers).toEqual([{ Addr: '203.0.113.55' }])
  })

  test
    .skipIf(!hasStock)
    .each([
      'status',
      'status --all',
      'status --json',
      'query nas.demo.internal',
      'query nas.demo.internal AAAA',
      'query nobody.demo.internal',
      'query wiki.corp.example',
      'query --json wiki.corp.example',
      'query --json 77.0.64.100.in-addr.arpa PTR',
      'query www.example.com ALL',
      'query',
      'query a A b',
    ])('pintail dns %s prints what the stock command line prints', async (line) => {
    const words = [`--socket=${ours.socketPath}`, 'dns', ...line.split(' ')]
    const [stock, our] = [
      await execute(stockProgram('tailscale') ?? '', words),
      await execute(process.execPath, [pintail, ...words]),
    ]
    const renamed = (text: string): string =>
      text
        .replaceAll('tailscale', 'pintail')
        .replaceAll('Tailscale', 'Pintail')
        .replaceAll(/\b\d+(?= +ClassINET)|(?<="TTL": )\d+/g, 'TTL') // the second one may be a second older
    const stockPart = our.stdout
      .replace(/\n=== Use by this system ===.*$/s, '')
      .replace(/,\n {2}"PintailCheck": {.*(?=\n}\n$)/s, '')
    expect(renamed(stockPart)).toBe(renamed(stock.stdout))
    expect(stockPart === our.stdout).toBe(!line.startsWith('status'))
    expect([our.code, our.stderr]).toEqual([stock.code, stock.stderr])
  })

  test('what the system had is still known', async () => {
    expect(await ours.client.json('GET', 'dns-osconfig')).toEqual({
      Nameservers: ['203.0.113.53', '203.0.113.54'],
      SearchDomains: ['old.example'],
      MatchDomains: [],
    })
    expect(await ours.client.json('GET', 'pintail/dns')).toMatchObject({ mode: 'direct', canSplit: false })
  })

  test('[DNS-16] Firefox is told to ask the system', async () => {
    const { stdout } = await machine.run('dig', ['use-application-dns.net'])
    expect(stdout).toContain('status: NXDOMAIN')
  })

  test('[DNS-15] [U12] another program catches all questions: health says so, until it is gone', async () => {
    const isAsked = async () =>
      ((await ours.client.json('GET', 'pintail/dns')) as { systemVerdict: string }).systemVerdict === 'asks us'
    const isTold = async () => (await ours.status()).Health?.some((text) => text.includes('looks names')) === true
    const happens = (what: string, it: () => Promise<boolean>) =>
      eventually(what, async () => ((await it()) ? true : undefined), { withinMs: 25_000, everyMs: 200 })
    await happens('the system asks us', isAsked)
    const catching = `table ip other_vpn {
      chain out {
        type nat hook output priority -100
        udp dport 53 dnat to 203.0.113.54
      }
      chain post {
        type nat hook postrouting priority 100
        ip daddr 203.0.113.54 masquerade
      }
    }
    `
    expect(await machine.run('nft', ['-f', '-'], { input: catching })).toMatchObject({ code: 0 })
    expect(await getent('nas.demo.internal')).toBe('')
    await ours.client.editPrefs({ CorpDNS: false, CorpDNSSet: true })
    await ours.client.editPrefs({ CorpDNS: true, CorpDNSSet: true }) // as any change: do not wait five minutes
    await happens('health says so', isTold)
    const status = await execute(process.execPath, [pintail, `--socket=${ours.socketPath}`, 'dns', 'status'])
    expect(status.stdout).toContain('do NOT ask Pintail')
    await machine.run('nft', ['delete', 'table', 'ip', 'other_vpn'])
    await happens('health is well again', async () => !(await isTold()))
    expect(await isAsked()).toBe(true)
  })

  test('accept-dns off gives the file back, on takes it again', async () => {
    await ours.client.editPrefs({ CorpDNS: false, CorpDNSSet: true })
    await soon('the original is back', async () =>
      (await machine.readEtc('resolv.conf')) === original ? true : undefined,
    )
    expect(await dig('@100.100.100.100', 'nas.demo.internal')).toBe(await other.address())
    await ours.client.editPrefs({ CorpDNS: true, CorpDNSSet: true })
    await soon('ours again', async () =>
      (await machine.readEtc('resolv.conf')).includes('100.100.100.100') ? true : undefined,
    )
  })

  test('a DHCP client writes: its servers are the ones behind us now', async () => {
    await machine.writeEtc('resolv.conf', original.replace('203.0.113.53', '203.0.113.55'))
    await soon('ours is back', async () =>
      (await machine.readEtc('resolv.conf')).includes('100.100.100.100') ? true : undefined,
    )
    expect(await ours.client.json('GET', 'dns-osconfig')).toMatchObject({
      Nameservers: ['203.0.113.55', '203.0.113.54'],
    })
    await soon('health says so', async () => {
      const { Health } = await ours.status()
      return Health?.some((text) => text.includes('resolv.conf')) ? true : undefined
    })
    await machine.writeEtc('resolv.conf', original)
    await soon('and back', async () =>
      (await machine.readEtc('resolv.conf')).includes('100.100.100.100') ? true : undefined,
    )
  })

  test('[F14] after SIGKILL the next start gives the file back, byte by byte, and takes it again', async () => {
    await ours.kill()
    expect(await machine.readEtc('resolv.conf')).toContain('100.100.100.100')
    ours = await Daemon.start(machine.host, { kind: 'ours', folder: join(folder, 'o') })
    await soon('names again', async () => ((await getent('nas')) === (await other.address()) ? true : undefined))
    await ours.client.editPrefs({ WantRunning: false, WantRunningSet: true })
    await soon('the original is back', async () =>
      (await machine.readEtc('resolv.conf')) === original ? true : undefined,
    )
    await ours.client.editPrefs({ WantRunning: true, WantRunningSet: true })
    await soon('names again', async () => ((await getent('nas')) === (await other.address()) ? true : undefined))
    await ours.stop()
    expect(await machine.readEtc('resolv.conf')).toBe(original)
    const { stdout } = await machine.run('ls', ['/etc'])
    expect(stdout).not.toContain('pintail')
  })
})
