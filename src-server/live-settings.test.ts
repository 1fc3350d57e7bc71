/** Routes, DNS and attributes through a whole server: over its real sockets, its database and its configuration. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { MapResponse, Node } from '../src-contract/control/map.ts'
import { AdminClient } from './admin/client.ts'
import { parseConfig } from './config/load.ts'
import { TestMachine } from './control/noise-client.lab.ts'
import { createLog } from './log.ts'
import { type RunningServer, startServer } from './server.ts'

let folder: string
let server: RunningServer
let admin: AdminClient
let extra = ''
const machines: TestMachine[] = []
let key: string

const readConfig = () =>
  parseConfig(`
server_url: http://127.0.0.1:1
listen_addr: 127.0.0.1:0
state_dir: ${folder}
unix_socket: ${folder}/c.sock
node: {offline_after: 150ms}
derp: {server: {listen: 127.0.0.1:0, stun_listen: 127.0.0.1:0, hostname: 127.0.0.1}}
${extra}`)
async function start() {
  server = await startServer({ config: readConfig(), readConfig, log: createLog({ level: 'error', format: 'text' }) })
}
async function joined(name: string, routes: unknown = undefined): Promise<TestMachine> {
  const made = new TestMachine(`http://127.0.0.1:${server.controlPort}`)
  machines.push(made)
  const Hostinfo = { Hostname: name, OS: 'linux', ...(routes === undefined ? {} : { RoutableIPs: routes }) }
  expect(await made.register({ Auth: { AuthKey: key }, Hostinfo })).toMatchObject({ MachineAuthorized: true })
  return made
}
const peerOf = (message: MapResponse, name: string): Node | undefined =>
  [...(message.Peers ?? []), ...(message.PeersChanged ?? [])].find((peer) => peer.Name.startsWith(`${name}.`))
const approve = (name: string, ...routes: string[]) =>
  admin.call<{ node: object }>('POST', `/node/${name}/approve_routes`, { routes })
const isFull = (message: MapResponse) => message.Node !== undefined

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-live-'))
  extra = ''
  admin = new AdminClient(`${folder}/c.sock`)
  await start()
  await admin.call('POST', '/user', { name: 'alice' })
  const made = await admin.call<{ preAuthKey: { key: string } }>('POST', '/preauthkey', {
    user: 'alice',
    reusable: true,
  })
  key = made.preAuthKey.key
})
afterEach(async () => {
  for (const made of machines.splice(0)) await made.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

test('[SRV-R2] [SRV-R3] approvals and who has a subnet survive a restart; the router itself is told as well', async () => {
  const [a, b] = [await joined('a', ['10.0.0.0/8', '0.0.0.0/0', '::/0']), await joined('b', ['10.0.0.0/8'])]
  const streamB = await b.stream()
  await streamB.next(isFull)
  await approve('a', '10.0.0.0/8', '0.0.0.0/0', '::/0')
  await approve('b', '10.0.0.0/8')
  // a never had a stream: only b is online
  const own = await streamB.next((m) => m.Node?.PrimaryRoutes?.length === 1)
  expect(own.Node).toMatchObject({ AllowedIPs: ['100.64.0.2/32', expect.anything(), '10.0.0.0/8'] })
  const streamA = await a.stream()
  expect(await streamA.next(isFull)).toMatchObject({
    Node: { AllowedIPs: ['100.64.0.1/32', expect.anything(), '0.0.0.0/0', '::/0'] },
    Peers: [{ PrimaryRoutes: ['10.0.0.0/8'], AllowedIPs: ['100.64.0.2/32', expect.anything(), '10.0.0.0/8'] }],
    PacketFilters: { base: [{ SrcIPs: ['*'], DstPorts: [{ IP: '*', Ports: { First: 0, Last: 65535 } }] }] },
  })
  await server.close()
  await start()
  const again = new TestMachine(`http://127.0.0.1:${server.controlPort}`)
  machines.push(again)
  const shapes = await admin.call<{ nodes: object[] }>('GET', '/node')
  expect(shapes.nodes).toMatchObject([
    { givenName: 'a', approvedRoutes: ['0.0.0.0/0', '10.0.0.0/8', '::/0'], subnetRoutes: ['0.0.0.0/0', '::/0'] },
    { givenName: 'b', approvedRoutes: ['10.0.0.0/8'], subnetRoutes: ['10.0.0.0/8'] },
  ])
})

test('[SRV-R1] a computer with ten thousand routes, or with routes that are none, spoils nothing', async () => {
  const viewer = await joined('viewer')
  const stream = await viewer.stream()
  await stream.next(isFull)
  const evil = await joined('evil')
  const many = Array.from({ length: 10_000 }, (_, n) => `10.${n >> 8}.${n & 255}.0/24`)
  expect(await evil.update({ Hostinfo: { Hostname: 'evil', RoutableIPs: many } })).toBe(400)
  expect(server.registry.nodes.get(2)?.hostinfo.RoutableIPs).toBeUndefined()
  const bad = ['100.64.0.1/32', '64.0.0.0/2', '127.0.0.0/8', 'x', 7, null, '10.1.2.3/8', ...many.slice(0, 3000)]
  expect(await evil.update({ Hostinfo: { Hostname: 'evil', RoutableIPs: bad } })).toBe(200)
  const seen = peerOf(await stream.next((m) => peerOf(m, 'evil')?.Hostinfo?.RoutableIPs !== undefined), 'evil')
  expect(seen?.Hostinfo?.RoutableIPs).toHaveLength(506)
  expect(seen?.Hostinfo?.RoutableIPs?.[0]).toBe('10.0.0.0/24')
  expect(seen?.AllowedIPs).toHaveLength(2)
  await expect(approve('evil', '10.0.0.0/33')).rejects.toThrow(/"10.0.0.0\/33" is no route/)
  await approve('evil', '10.1.2.3/24', '100.64.0.1/32', '64.0.0.0/2', '10.0.9.0/24')
  const allowed = peerOf(await stream.next((m) => peerOf(m, 'evil')?.PrimaryRoutes != null), 'evil')
  expect(allowed?.PrimaryRoutes).toEqual(['10.0.9.0/24', '10.1.2.0/24'])
})

test('[SRV-1.6] reload: DNS, approvals and attributes reach who is connected, each in one small message; the rest waits', async () => {
  const a = await joined('a', ['10.1.0.0/16'])
  const b = await joined('b')
  const [streamA, streamB] = [await a.stream(), await b.stream()]
  for (const stream of [streamA, streamB]) await stream.next(isFull)
  extra = `
dns:
  override_local_dns: true
  nameservers:
    global: [9.9.9.9, {address: "https://dns.corp.example/dns-query", bootstrap: [192.0.2.53], use_with_exit_node: true}]
    fallback: [192.0.2.1:5353]
    split: {corp.example: [10.1.0.53], lan.example: []}
  search_domains: [corp.example]
  extra_records: [{name: wiki.corp.example, type: AAAA, value: "fd7a:115c:a1e0::7"}]
auto_approve: {routes: {10.0.0.0/8: [alice, bob]}}
node_attributes: [{target: ["*"], attr: [magicdns-aaaa]}, {target: [tag:x], attr: [silent-disco]}]
taildrop: {enabled: false}
`
  expect(await admin.call('POST', '/reload')).toEqual({
    applied: [
      'dns.override_local_dns',
      'dns.nameservers',
      'dns.search_domains',
      'dns.extra_records',
      'auto_approve.routes',
      'node_attributes',
    ],
    needsRestart: ['taildrop.enabled'],
    warnings: [expect.stringMatching(/the user bob, who does not exist/)],
  })
  const delta = await streamB.next((m) => m.DNSConfig !== undefined)
  expect(delta).toMatchObject({
    Node: { CapMap: { 'magicdns-aaaa': null } },
    PeersChanged: [{ PrimaryRoutes: ['10.1.0.0/16'] }],
    DNSConfig: {
      Resolvers: [
        { Addr: '9.9.9.9' },
        { Addr: 'https://dns.corp.example/dns-query', BootstrapResolution: ['192.0.2.53'], UseWithExitNode: true },
      ],
      FallbackResolvers: [{ Addr: '192.0.2.1:5353' }],
      Routes: { 'corp.example': [{ Addr: '10.1.0.53' }], 'lan.example': [] },
      Domains: ['pintail.internal', 'corp.example'],
      ExtraRecords: [{ Name: 'wiki.corp.example', Type: 'AAAA', Value: 'fd7a:115c:a1e0::7' }],
      Proxied: true,
    },
  })
  expect(delta.Node?.CapMap).not.toHaveProperty('silent-disco')
  expect(delta.DERPMap).toBeUndefined()
  // nothing new: nobody is woken
  const count = streamB.messages.length
  expect(await admin.call('POST', '/reload')).toMatchObject({ applied: [], needsRestart: ['taildrop.enabled'] })
  extra = 'dns: {nameservers: {global: [nonsense]}}'
  await expect(admin.call('POST', '/reload')).rejects.toThrow(
    /dns.nameservers.global.0.address: expected an IP address/,
  )
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(streamB.messages.length).toBe(count)
  extra = 'dns: {magic_dns: false}'
  server.reload()
  const last = await streamA.next((m) => m.DNSConfig?.Proxied === false)
  expect(last.DNSConfig).toEqual({ Routes: {}, Domains: ['pintail.internal'], Proxied: false })
})

test('[SRV-R5] attributes by tag, owner and given name; peers see those that concern them', async () => {
  extra = `
node_attributes:
  - {target: [alice], attr: [magicdns-aaaa, dns-subdomain-resolve]}
  - {target: ["node:vps"], attr: [disable-linux-cgnat-drop-rule]}`
  server.reload()
  const [a, b] = [await joined('vps'), await joined('b')]
  const stream = await a.stream()
  const self = (await stream.next(isFull)).Node?.CapMap
  expect(self).toMatchObject({ 'magicdns-aaaa': null, 'dns-subdomain-resolve': null })
  expect(self).not.toHaveProperty('disable-linux-cgnat-drop-rule')
  await admin.call('POST', '/node/vps/rename/vps')
  await stream.next((m) => m.Node?.CapMap?.['disable-linux-cgnat-drop-rule'] === null)
  const seen = peerOf(await (await b.stream()).next(isFull), 'vps')
  expect(seen?.CapMap).toEqual({ 'dns-subdomain-resolve': null })
})
