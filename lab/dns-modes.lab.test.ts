/**
 * The programs that manage DNS on Linux, the real ones, each on a machine of its own: what our daemon tells them, that
 * names work by it, and that nothing of ours remains – after an orderly end, and after SIGKILL and another start. The
 * Debian packages lie in `.cache/debs` (`scripts/ready.mjs` fetches them) or the folder that PINTAIL_DEBS names; without
 * one that mode is skipped by name.
 */
import { existsSync, mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { Internet } from './internet.ts'
import { type MachineView, machineView } from './machine-view.ts'
import { type NameServer, startNameServer } from './name-server.ts'

const debFolder = process.env.PINTAIL_DEBS ?? join(import.meta.dirname, '..', '.cache', 'debs')
const debs = existsSync(debFolder) ? readdirSync(debFolder).filter((name) => name.endsWith('.deb')) : []
function packages(...names: string[]): string[] | undefined {
  const found = names.map((name) => debs.find((file) => file.startsWith(`${name}_`)))
  return found.every((file) => file !== undefined) ? found.map((file) => join(debFolder, file)) : undefined
}

interface Mode {
  readonly name: string
  readonly packages: string[] | undefined
  readonly canSplit: boolean
  /** Makes the machine what it is before our daemon comes. */
  prepare(machine: MachineView): Promise<Record<string, string>>
  /** What the manager holds of ours and of others. */
  settings(machine: MachineView): Promise<string>
}

const BUS = '/run/dbus-lab'
const busEnvironment = { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${BUS}` }
const busConfig = `<busconfig><type>system</type><listen>unix:path=${BUS}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow eavesdrop="false"/></policy></busconfig>`

async function startResolved(machine: MachineView): Promise<void> {
  const child = machine.start('/usr/lib/systemd/systemd-resolved', [], busEnvironment)
  let complaint = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint += chunk.toString()
  })
  await soon('resolved answers', async () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${complaint}`)
    return (await machine.run('env', [...pairs(busEnvironment), 'resolvectl', 'status'])).code === 0 ? true : undefined
  })
}
const pairs = (environment: Record<string, string>) =>
  Object.entries(environment).map(([name, value]) => `${name}=${value}`)

const modes: Mode[] = [
  {
    name: 'systemd-resolved',
    packages: packages('systemd-resolved', 'libsystemd-shared'),
    canSplit: true,
    prepare: async (machine) => {
      const users = ['passwd', 'group', 'shadow'] as const
      const lines = [
        'systemd-resolve:x:995:995::/:/usr/sbin/nologin',
        'systemd-resolve:x:995:',
        'systemd-resolve:!:1::::::',
      ]
      for (const [i, name] of users.entries()) {
        const text = await machine.readEtc(name)
        if (!text.includes('systemd-resolve:')) await machine.writeEtc(name, `${text}${lines[i]}\n`)
      }
      await machine.run('mkdir', ['-p', '/etc/systemd', '/run/systemd/resolve'])
      await machine.run('chmod', ['755', '/run', '/run/systemd', '/run/systemd/resolve'])
      await machine.run('chown', ['systemd-resolve:systemd-resolve', '/run/systemd/resolve'])
      await machine.writeEtc(
        'systemd/resolved.conf',
        '[Resolve]\nDNS=203.0.113.54\nLLMNR=no\nMulticastDNS=no\nDNSSEC=no\n',
      )
      await machine.writeEtc('bus.conf', busConfig)
      machine.start('dbus-daemon', ['--config-file=/etc/bus.conf', '--nofork', '--nopidfile'])
      await soon('the bus is there', async () =>
        (await machine.run('test', ['-S', BUS])).code === 0 ? true : undefined,
      )
      await startResolved(machine)
      await machine.run('ln', ['-sf', '/run/systemd/resolve/stub-resolv.conf', '/etc/resolv.conf'])
      return busEnvironment
    },
    settings: async (machine) => {
      const { stdout } = await machine.run('env', [...pairs(busEnvironment), 'resolvectl', 'status', '--no-pager'])
      return stdout.replaceAll(/^ *Current DNS Server:.*\n/gm, '')
    },
  },
  {
    name: 'direct',
    packages: [],
    canSplit: false,
    prepare: async (machine) => {
      await machine.writeEtc(
        'resolv.conf',
        '# caf\xe9\nnameserver 203.0.113.54\nsearch old.example\noptions timeout:2\n',
      )
      return {}
    },
    settings: async () => '',
  },
  {
    name: 'resolvconf',
    packages: packages('resolvconf'),
    canSplit: false,
    prepare: async (machine) => {
      await machine.run('mkdir', ['-p', '/run/resolvconf/interface'])
      await machine.run('ln', ['-sf', '/run/resolvconf/resolv.conf', '/etc/resolv.conf'])
      await machine.run('resolvconf', ['--enable-updates'])
      await machine.run('resolvconf', ['-a', 'eth0.inet'], { input: 'nameserver 203.0.113.54\nsearch old.example\n' })
      return {}
    },
    settings: async (machine) =>
      `${(await machine.run('ls', ['/run/resolvconf/interface'])).stdout}${await machine.readEtc('resolv.conf')}`,
  },
  {
    name: 'openresolv',
    packages: packages('openresolv'),
    canSplit: false,
    prepare: async (machine) => {
      await machine.run('resolvconf', ['-a', 'eth0'], { input: 'nameserver 203.0.113.54\nsearch old.example\n' })
      return {}
    },
    settings: async (machine) =>
      `${(await machine.run('resolvconf', ['-l'])).stdout}${await machine.readEtc('resolv.conf')}`,
  },
]

const soon = (what: string, happened: () => Promise<true | undefined>): Promise<true> =>
  eventually(what, happened, { withinMs: 10_000, everyMs: 100 })

describe.each(modes.filter((mode) => mode.packages === undefined))('$name', ({ name }) => {
  test.skip(`skipped: no package ${name} in PINTAIL_DEBS`, () => {})
})

const pintaild = fileURLToPath(new URL('../bin/pintaild.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'pt-'))
let internet: Internet
/** One network with nothing but names, and an exit node; one with a split zone. */
let control: ControlServer
let splitControl: ControlServer
let other: Daemon
const servers: NameServer[] = []

beforeAll(async () => {
  internet = await Internet.create()
  control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
    folder: join(folder, 'c'),
    config: { dns: { base_domain: 'demo.internal' } },
  })
  splitControl = await ControlServer.start(await internet.publicHost('split', ['203.0.113.11']), {
    folder: join(folder, 'd'),
    config: { dns: { base_domain: 'demo.internal', nameservers: { split: { 'corp.example': ['203.0.113.55'] } } } },
  })
  const world = await internet.publicHost('world', ['203.0.113.54', '203.0.113.55'])
  const zones = { 'www.example.com': '198.51.100.1', 'wiki.corp.example': '198.51.100.9' }
  for (const address of ['203.0.113.54', '203.0.113.55'])
    servers.push(await startNameServer(world.host, { address, zones, manner: 'fine' }))
  const nas = await internet.publicHost('nas')
  await nas.host.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
  other = await Daemon.start(nas.host, { kind: 'ours', folder: join(folder, 'n') })
  const AdvertiseRoutes = ['0.0.0.0/0', '::/0']
  await other.join(control.url, await control.createKey(), { Hostname: 'nas', AdvertiseRoutes, NetfilterMode: 2 })
  await control.admin('routes', 'approve', 'nas', '--all')
})
afterAll(async () => {
  await other?.stop()
  await Promise.all(servers.map((server) => server.stop()))
  await Promise.all([control?.stop(), splitControl?.stop()])
  await internet?.close()
  discard(folder)
})

describe.each(modes.filter((mode) => mode.packages !== undefined))('on a machine with $name', (mode) => {
  let machine: MachineView
  let ours: Daemon
  let environment: Record<string, string> = {}
  let before = ''

  const start = (name = mode.name) =>
    Daemon.start(machine.host, { kind: 'ours', folder: join(folder, name.slice(0, 12)), environment })
  const getent = async (name: string): Promise<string> =>
    (await machine.run('getent', ['ahostsv4', name])).stdout.split(/\s+/)[0] ?? ''
  const knows = async () => ((await getent('nas.demo.internal')) === (await other.address()) ? true : undefined)
  /** What the manager holds, and each file in /etc that has to do with it: what it is, whose, and its bytes. */
  const settings = async (): Promise<string> => {
    const script =
      'cd /etc && for f in *resolv*; do stat -c "%n %F %a %u" "$f"; readlink "$f" || base64 "$f"; done 2>&1'
    const { stdout } = await machine.run('sh', ['-c', script])
    return `${await mode.settings(machine)}\n${stdout}`
  }
  const isBack = async () => ((await settings()) === before ? true : undefined)

  beforeAll(async () => {
    machine = await machineView((await internet.publicHost('ours')).host)
    if (mode.packages!.length > 0) await machine.install(mode.packages!)
    environment = await mode.prepare(machine)
    expect(await getent('www.example.com')).toBe('198.51.100.1')
    before = await settings()
    ours = await start()
    await ours.join(control.url, await control.createKey(), { Hostname: 'laptop', CorpDNS: true })
  })
  afterAll(() => ours?.stop())

  test('it is found out, told, and names work: ours and the others', async () => {
    expect(await ours.client.json('GET', 'pintail/dns')).toMatchObject({ mode: mode.name, canSplit: mode.canSplit })
    await soon('names of the network', knows)
    expect(await getent('nas')).toBe(await other.address())
    expect(await getent('www.example.com')).toBe('198.51.100.1')
    await soon('[DNS-15] programs ask us', async () => {
      const { systemVerdict } = (await ours.client.json('GET', 'pintail/dns')) as { systemVerdict: string }
      return systemVerdict === 'asks us' ? true : undefined
    })
    const { counters } = (await ours.client.json('GET', 'pintail/dns')) as { counters: { forwarded: number } }
    expect(counters.forwarded > 0).toBe(!mode.canSplit) // a host that can split does not ask us for others' names
    expect(await ours.client.json('GET', 'dns-osconfig')).toMatchObject({ Nameservers: ['203.0.113.54'] })
    expect((await ours.status()).Health ?? []).toEqual([])
  })

  if (mode.name === 'systemd-resolved')
    test('it is told again when it restarts', async () => {
      const { stdout } = await machine.run('pidof', ['systemd-resolved'])
      const status = await machine.run('cat', [`/proc/${stdout.trim().split(' ')[0]}/status`])
      expect(status.stdout).toContain('systemd-resolve')
      await machine.run('kill', [stdout.trim().split(' ')[0] ?? ''])
      await startResolved(machine)
      await soon('names of the network again', knows)
    })

  test('accept-dns off: as if we were not there', async () => {
    await ours.client.editPrefs({ CorpDNS: false, CorpDNSSet: true })
    if (mode.canSplit)
      await soon('nobody is asked', async () => ((await getent('nas.demo.internal')) === '' ? true : undefined))
    else await soon('all is as before', isBack)
    await ours.client.editPrefs({ CorpDNS: true, CorpDNSSet: true })
    await soon('names of the network', knows)
  })

  test('F14: after SIGKILL the next start works, and its end leaves nothing', async () => {
    await ours.kill()
    ours = await start()
    await soon('names of the network', knows)
    await ours.stop()
    await soon('all is as before', isBack)
    expect(await getent('www.example.com')).toBe('198.51.100.1')
  })

  /** What the settings are about, and how one sees that it holds. */
  const wishes: { readonly [wish: string]: () => Promise<unknown> } = {
    'plain names': () => soon('names of the network', knows),
    'an exit node': async () => {
      await ours.client.editPrefs({ ExitNodeID: (await other.status()).Self.ID, ExitNodeIDSet: true })
      await soon('names are asked at the exit node', async () => {
        const asked = await ours.client.json('GET', 'dns-query?name=www.example.com&type=A')
        return JSON.stringify(asked).includes('/dns-query') && (await settings()) !== before ? true : undefined
      })
    },
    'accept-dns off': async () => {
      await ours.client.editPrefs({ CorpDNS: false, CorpDNSSet: true, ExitNodeID: '', ExitNodeIDSet: true })
      if (!mode.canSplit) await soon('all is as before', isBack)
    },
    'a split zone': async () => {
      await ours.join(splitControl.url, await splitControl.createKey(), { Hostname: 'laptop', CorpDNS: true })
      await soon('names of the zone', async () =>
        (await getent('wiki.corp.example')) === '198.51.100.9' ? true : undefined,
      )
    },
  }
  test.each(Object.keys(wishes))('F14: %s, SIGKILL, --cleanup: byte by byte as before', async (wish) => {
    const name = wish === 'a split zone' ? `s-${mode.name}` : mode.name
    ours = await start(name)
    try {
      await wishes[wish]!()
    } finally {
      await ours.kill()
    }
    const words = [`--statedir=${join(ours.folder, 'state')}`, `--socket=${ours.socketPath}`, '--tun=pintail0']
    const cleanup = [...pairs(environment), process.execPath, pintaild, '--cleanup', ...words]
    const { code, stderr } = await machine.run('env', cleanup)
    expect([code, stderr.includes('cannot-clean-up')]).toEqual([0, false])
    await soon('all is as before', isBack)
    expect(await settings()).toBe(before)
    expect(await getent('www.example.com')).toBe('198.51.100.1')
  })
})
