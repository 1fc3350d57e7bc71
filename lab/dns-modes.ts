/**
 * The programs that manage DNS on Linux, the real ones: how a machine becomes theirs, and what they hold. The Debian
 * packages lie in `.cache/debs` (`scripts/ready.mjs` fetches them) or the folder that PINTAIL_DEBS names; where one is
 * missing, so is the mode. Not the machines and what is tried on them: `dns-machine.ts`.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from './eventually.ts'
import type { MachineView } from './machine-view.ts'

const debFolder = process.env.PINTAIL_DEBS ?? join(import.meta.dirname, '..', '.cache', 'debs')
const debs = existsSync(debFolder) ? readdirSync(debFolder).filter((name) => name.endsWith('.deb')) : []
function packages(...names: string[]): string[] | undefined {
  const found = names.map((name) => debs.find((file) => file.startsWith(`${name}_`)))
  return found.every((file) => file !== undefined) ? found.map((file) => join(debFolder, file)) : undefined
}

export interface DnsMode {
  readonly name: string
  /** Undefined: not here. */
  readonly packages: readonly string[] | undefined
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

export async function startResolved(machine: MachineView): Promise<void> {
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
/** NAME=value, for env(1). */
export const pairs = (environment: Record<string, string>) =>
  Object.entries(environment).map(([name, value]) => `${name}=${value}`)

export const dnsModes: readonly DnsMode[] = [
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

/** Settings follow within a moment; a slow machine gets more of them. */
export const soon = (what: string, happened: () => Promise<true | undefined>): Promise<true> =>
  eventually(what, happened, { withinMs: 10_000, everyMs: 100 })
