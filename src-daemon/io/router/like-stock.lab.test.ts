import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from '../../../lab/control-server.ts'
import { Daemon, stockProgram } from '../../../lab/daemon.ts'
import { eventually } from '../../../lab/eventually.ts'
import { Internet, type PublicHost } from '../../../lab/internet.ts'
import { canIptables, ip, linesOf, nft, run } from './host-state.lab.ts'
import { openLinuxRouter } from './linux.ts'
import { plainRouterConfig, type RouterConfig } from './port.ts'

const STOCK_DEVICE = 'tailscale0'
const device = `dms${process.pid % 10_000}`

/** Ours in the namespace of the stock one. */
const tryBeside = `
  import { openLinuxRouter } from ${JSON.stringify(new URL('./linux.ts', import.meta.url).href)}
  import { client } from ${JSON.stringify(new URL('./dies-while-applying.lab.ts', import.meta.url).href)}
  const router = await openLinuxRouter(process.argv[1])
  console.log(JSON.stringify(await router.apply(client)))
  await router.close()
  process.exit(0)
`

/** The rules of a stock daemon beside ours for the same addresses, in one namespace each. */
describe.skipIf(stockProgram('tailscaled') === undefined || !canIptables('nft'))(
  'beside what a stock daemon installs',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'pt-like-'))
    let internet: Internet
    let control: ControlServer
    let machine: PublicHost
    let stock: Daemon
    const there = (...words: string[]): string => run('ip', 'netns', 'exec', machine.host.name, ...words)

    beforeAll(async () => {
      internet = await Internet.create()
      control = await ControlServer.start(await internet.publicHost('control'))
      machine = await internet.publicHost('stock')
      stock = await Daemon.start(machine.host, {
        kind: 'stock',
        folder: join(folder, 'state'),
        environment: { TS_DEBUG_FIREWALL_MODE: 'iptables' },
      })
      await stock.join(control.url, await control.createKey(), {
        Hostname: 'stock',
        CorpDNS: true,
        NoStatefulFiltering: false,
      })
      const programs = join(folder, 'programs')
      mkdirSync(programs)
      symlinkSync(run('which', 'ip').trim(), join(programs, 'ip'))
      for (const name of ['iptables', 'ip6tables'])
        for (const verb of ['save', 'restore'])
          symlinkSync(run('which', `${name}-nft-${verb}`).trim(), join(programs, `${name}-${verb}`))
    })
    afterAll(async () => {
      await stock?.stop()
      await control?.stop()
      await internet?.close()
      rmSync(folder, { recursive: true })
    })

    test('[RT-1] [RT-13] the same rules, tables and chains; beside it we refuse', async () => {
      const chainOf = (line: string): string => line.split(' ')[1] ?? ''
      const rulesOf = (text: string): string[] =>
        linesOf(text)
          .filter((line) => /^(-A|:ts)/.test(line))
          .map((line) => line.replaceAll(STOCK_DEVICE, 'TUN').replaceAll(device, 'TUN'))
          .sort((a, b) => chainOf(a).localeCompare(chainOf(b))) // in the order of each chain
      const policyOf = (text: string): string[] =>
        linesOf(text)
          .map((line) => line.replace(/ proto \w+$/, ''))
          .filter((line) => /^52\d0:/.test(line))
      const theirs = await eventually(
        'the stock daemon has set its rules',
        () => {
          const saved = rulesOf(there('iptables-save'))
          return saved.some((line) => line.includes('--dport')) ? saved : undefined
        },
        { withinMs: 15_000 },
      )
      const address = await stock.address()
      const { TailscaleIPs = [] } = await stock.status()
      const desired: RouterConfig = {
        ...plainRouterConfig,
        addresses: TailscaleIPs ?? [],
        routes: ['100.100.100.100/32', 'fd7a:115c:a1e0::53/128'],
        statefulFiltering: theirs.some((line) => /conntrack ! --ctstate/.test(line)),
        netfilterMode: 'on',
        udpPort: 41641,
      }
      expect(desired.addresses).toContain(address)
      ip('tuntap', 'add', 'dev', device, 'mode', 'tun')
      try {
        const router = await openLinuxRouter(device, { folders: [join(folder, 'programs')] })
        expect(await router.apply(desired)).toEqual({ kind: 'applied', warnings: [] })
        expect(rulesOf(run('iptables-save'))).toEqual(theirs)
        expect(rulesOf(run('ip6tables-save'))).toEqual(rulesOf(there('ip6tables-save')))
        expect(policyOf(ip('rule'))).toEqual(policyOf(there('ip', 'rule')))
        expect(policyOf(ip('-6', 'rule'))).toEqual(policyOf(there('ip', '-6', 'rule')))
        await router.close()
        const before = there('iptables-save')
        expect(JSON.parse(there(process.execPath, '--input-type=module', '--eval', tryBeside, device))).toMatchObject({
          kind: 'conflict',
          what: 'address',
          interfaceName: STOCK_DEVICE,
        })
        expect(rulesOf(there('iptables-save'))).toEqual(rulesOf(before))
      } finally {
        ip('tuntap', 'del', 'dev', device, 'mode', 'tun')
        nft('flush ruleset\n')
      }
    })
  },
)
