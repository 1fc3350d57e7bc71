/**
 * Names through an exit node, ours and stock ones mixed: what the world says is asked where the exit node stands, names
 * of the network stay here, and nothing of it is asked in the traveller's own network. [docs/rules/peerapi.md PA-4]
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, type DaemonOptions, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { Internet } from './internet.ts'
import { type MachineView, machineView } from './machine-view.ts'
import { type NameServer, startNameServer } from './name-server.ts'

type Kind = DaemonOptions['kind']
const hasStock = stockProgram('tailscaled') !== undefined
const kinds: readonly Kind[] = hasStock ? ['ours', 'stock'] : ['ours']
const HERE = '203.0.113.53'
const THERE = '203.0.113.54'
const seen = { [HERE]: '198.51.100.53', [THERE]: '198.51.100.54' }

describe('names through an exit node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  let internet: Internet
  let control: ControlServer
  const servers: NameServer[] = []
  const daemons = new Map<string, Daemon>()
  const machines = new Map<string, MachineView>()

  beforeAll(async () => {
    internet = await Internet.create()
    control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      config: { dns: { base_domain: 'demo.internal' } },
    })
    const key = await control.createKey()
    const world = await internet.publicHost('world', [HERE, THERE])
    for (const address of [HERE, THERE] as const)
      servers.push(
        await startNameServer(world.host, { address, zones: { 'www.example.com': seen[address] }, manner: 'fine' }),
      )
    const join_ = async (name: string, kind: Kind, server: string, prefs: object): Promise<void> => {
      const machine = await machineView((await internet.publicHost(name)).host)
      await machine.writeEtc('resolv.conf', `nameserver ${server}\n`)
      await machine.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
      const daemon = await Daemon.start(machine.host, { kind, folder: join(folder, name) })
      daemons.set(name, daemon)
      machines.set(name, machine)
      await daemon.join(control.url, key, { Hostname: name, CorpDNS: true, ...prefs })
    }
    for (const kind of kinds) {
      await join_(`${kind}-exit`, kind, THERE, { AdvertiseRoutes: ['0.0.0.0/0', '::/0'], NetfilterMode: 2 })
      await control.admin('routes', 'approve', `${kind}-exit`, '--all')
    }
    for (const kind of kinds) await join_(`${kind}-client`, kind, HERE, { NetfilterMode: 2 })
  })
  afterAll(async () => {
    await Promise.all([...daemons.values()].map((daemon) => daemon.stop()))
    await Promise.all(servers.map((server) => server.stop()))
    await control?.stop()
    await internet?.close()
    discard(folder)
  })

  const dig = async (name: string, ...words: string[]): Promise<string> =>
    (await machines.get(name)!.run('dig', ['+short', '+tries=1', '+time=3', ...words])).stdout.trim()
  const answers = (client: string, expected: string): Promise<true> =>
    eventually(
      `${client} hears ${expected}`,
      async () => ((await dig(client, 'www.example.com')) === expected ? true : undefined),
      { withinMs: 15_000, everyMs: 200 },
    )

  const pairs = kinds.flatMap((client) => kinds.map((exit) => [client, exit] as const))
  test.each(pairs.filter(([client, exit]) => client === 'ours' || exit === 'ours'))(
    '%s client, %s exit node',
    async (client, exit) => {
      const name = `${client}-client`
      const daemon = daemons.get(name)!
      await answers(name, seen[HERE])
      const { Self } = await daemons.get(`${exit}-exit`)!.status()
      await daemon.client.editPrefs({ ExitNodeID: Self.ID, ExitNodeIDSet: true })
      await answers(name, seen[THERE])
      expect(await dig(name, `${exit}-exit.demo.internal`)).toBe(Self.TailscaleIPs?.[0])
      expect(await dig(name, '-x', Self.TailscaleIPs?.[0] ?? '')).toBe(`${exit}-exit.demo.internal.`)
      // the exit node tells others nothing of its own
      if (exit === 'ours') {
        const port = /:(\d+)$/.exec((await daemon.status()).Peer?.[Self.PublicKey]?.PeerAPIURL?.[0] ?? '')?.[1]
        const url = `http://${Self.TailscaleIPs?.[0]}:${port}`
        const curl = async (...words: string[]) =>
          (await machines.get(name)!.run('curl', ['-s', '-m', '3', ...words])).stdout
        expect(await curl(`${url}/`)).toContain('PeerAPI')
        expect(await curl('-o', '/dev/null', '-w', '%{http_code}', '-H', 'Origin: http://x', `${url}/`)).toBe('403')
      }
      await daemon.client.editPrefs({ ExitNodeID: '', ExitNodeIDSet: true })
      await answers(name, seen[HERE])
    },
  )
})
