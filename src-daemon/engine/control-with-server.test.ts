/** Our control client and our coordination server, in one process, over real sockets. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { DiscoKeyText, IpPort } from '../../src-contract/ids.ts'
import { nodeCrypto } from '../../src-protocol/crypto/node-crypto.ts'
import type { Netmap, NetmapDelta } from '../../src-protocol/machines/netmap.ts'
import { discoKeyText, nodeKeyText, Secret } from '../../src-protocol/wire/keys.ts'
import { AdminClient } from '../../src-server/admin/client.ts'
import { parseConfig } from '../../src-server/config/load.ts'
import { createLog } from '../../src-server/log.ts'
import { type RunningServer, startServer } from '../../src-server/server.ts'
import { silentLog } from '../io/log/log.ts'
import { ControlClient } from './control.ts'
import type { ControlProblem, NodeFacts } from './control-port.ts'

let folder: string
let server: RunningServer
let admin: AdminClient
const nodes: TestNode[] = []

async function start(port = 0): Promise<void> {
  const config = parseConfig(`
server_url: http://127.0.0.1:1
listen_addr: 127.0.0.1:${port}
state_dir: ${folder}
unix_socket: ${folder}/c.sock
derp: {server: {listen: 127.0.0.1:0, stun_listen: 127.0.0.1:0, hostname: 127.0.0.1}}`)
  server = await startServer({ config, log: createLog({ level: 'error', format: 'text' }) })
  admin = new AdminClient(`${folder}/c.sock`)
}
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-control-'))
  await start()
  await admin.call('POST', '/user', { name: 'alice' })
})
afterEach(async () => {
  for (const node of nodes.splice(0)) node.client.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

const until = (check: () => void) => vi.waitFor(check, { timeout: 8000, interval: 5 })

/** What a backend would keep. */
class TestNode {
  readonly machineKey = new Secret(nodeCrypto.newPrivateKey())
  readonly discoKey: DiscoKeyText = discoKeyText(nodeCrypto.randomBytes(32))
  readonly name: string
  nodeKey: Secret | undefined
  oldNodeKey: Secret | undefined
  client: ControlClient
  netmap: Netmap | undefined
  readonly deltas: NetmapDelta[] = []
  readonly problems: ControlProblem[] = []
  readonly log: string[] = []

  constructor(name: string) {
    this.name = name
    this.client = this.open()
    nodes.push(this)
  }
  get facts(): NodeFacts {
    return { hostinfo: { Hostname: this.name, OS: 'linux' }, endpoints: [], discoKey: this.discoKey }
  }
  /** As after a restart of the daemon. */
  open(): ControlClient {
    this.client = new ControlClient(
      {
        crypto: nodeCrypto,
        log: silentLog,
        wallMs: Date.now,
        nowMs: () => performance.now(),
        random01: Math.random,
      },
      {
        serverUrl: `http://127.0.0.1:${server.controlPort}`,
        machineKey: this.machineKey,
        nodeKey: this.nodeKey,
        oldNodeKey: this.oldNodeKey,
        facts: this.facts,
        ephemeral: false,
        events: {
          onNetmap: (netmap, delta) => {
            this.netmap = netmap
            this.deltas.push(delta)
          },
          onAuthUrl: (url) => this.log.push(`url ${url}`),
          onAuthenticated: ({ user }) => this.log.push(`in as ${user.LoginName}`),
          onNodeKey: async (nodeKey, oldNodeKey) => {
            this.nodeKey = nodeKey
            this.oldNodeKey = oldNodeKey
          },
          onNeedsLogin: (reason) => this.log.push(`needs login: ${reason}`),
          onError: (problem) => this.problems.push(problem),
          onMapPoll: () => undefined,
        },
      },
    )
    return this.client
  }
  get nodeKeyText(): string {
    return nodeKeyText(nodeCrypto.x25519PublicKey(this.nodeKey!.expose()))
  }
  peer(name: string) {
    return [...(this.netmap?.peers.values() ?? [])].find((node) => node.Name.startsWith(`${name}.`))
  }
}

async function authKey(body: object = {}): Promise<string> {
  const { preAuthKey } = await admin.call<{ preAuthKey: { key: string } }>('POST', '/preauthkey', {
    user: 'alice',
    reusable: true,
    ...body,
  })
  return preAuthKey.key
}
async function joined(name: string, key: string): Promise<TestNode> {
  const node = new TestNode(name)
  node.client.login({ authKey: key, interactive: false })
  await until(() => expect(node.netmap).toBeDefined())
  return node
}

describe('with our server', () => {
  test('[CTL-3.1] [CTL-4.6] join by key, see each other, deltas in both directions', async () => {
    const key = await authKey()
    const a = await joined('nas', key)
    expect(a.log).toEqual(['in as alice'])
    expect(a.netmap!.self).toMatchObject({ Key: a.nodeKeyText, Addresses: ['100.64.0.1/32', 'fd7a:115c:a1e0::1/128'] })
    expect(a.netmap!.filterRules.length).toBeGreaterThan(0)
    expect(Object.keys(a.netmap!.derpMap!.Regions!)).toEqual(['999'])
    const b = await joined('laptop', key)
    expect(b.peer('nas')).toMatchObject({ Online: true, DiscoKey: a.discoKey })
    await until(() => expect(a.peer('laptop')).toMatchObject({ Online: true, DiscoKey: b.discoKey }))

    b.client.update({
      ...b.facts,
      hostinfo: { ...b.facts.hostinfo, NetInfo: { PreferredDERP: 999 } },
      endpoints: [{ address: '192.0.2.7:41641' as IpPort, type: 2 }],
    })
    await until(() => expect(a.peer('laptop')).toMatchObject({ HomeDERP: 999, Endpoints: ['192.0.2.7:41641'] }))
    expect(a.deltas.slice(1).every((delta) => !delta.full)).toBe(true)
    expect([...a.problems, ...b.problems]).toEqual([])
  })
  test('[CTL-3.7] a wrong and a spent key are refused in words', async () => {
    const once = await authKey({ reusable: false })
    await joined('one', once)
    for (const key of [once, 'hskey-auth-nonsense', 'x']) {
      const node = new TestNode('two')
      node.client.login({ authKey: key, interactive: false })
      await until(() => expect(node.problems.length).toBe(1))
      expect(node.problems[0]).toMatchObject({ kind: 'refused', text: expect.stringMatching(/key/) })
    }
  })
  test('[CTL-3.4] a page, approved by the administrator', async () => {
    const node = new TestNode('phone')
    node.client.login({ authKey: '', interactive: true })
    await until(() => expect(node.log.length).toBe(1))
    const authId = /\/register\/([0-9a-f]+)$/.exec(node.log[0]!)![1]
    await admin.call('POST', '/auth/register', { user: 'alice', authId })
    await until(() => expect(node.netmap?.self.Key).toBe(node.nodeKeyText))
    expect(node.log.at(-1)).toBe('in as alice')
  })
  test('[CTL-3.1] a restarted daemon is the same node without a key', async () => {
    const a = await joined('nas', await authKey())
    const key = a.nodeKeyText
    a.client.close()
    a.netmap = undefined
    a.open().login({ authKey: '', interactive: false })
    await until(() => expect(a.netmap?.self.Addresses).toContain('100.64.0.1/32'))
    expect(a.nodeKeyText).toBe(key)
  })
  test('[CTL-6.2] a restarted server is found again', async () => {
    const a = await joined('nas', await authKey())
    const { controlPort } = server
    await server.close()
    await until(() => expect(a.problems.length).toBeGreaterThan(0))
    await start(controlPort)
    const before = a.deltas.length
    await until(() => expect(a.deltas.length).toBeGreaterThan(before))
    expect(a.deltas.at(-1)!.peersAdded).toEqual([])
  })
  test('[CTL-6.4] a node that was deleted has to sign in again', async () => {
    const a = await joined('nas', await authKey())
    await server.registry.deleteNode(1)
    await until(() =>
      expect(a.netmap!.self.Expired === true || a.log.some((line) => line.startsWith('url'))).toBe(true),
    )
    a.client.login({ authKey: await authKey(), interactive: false })
    await until(() => expect(a.netmap!.self.Expired ?? false).toBe(false))
    expect(a.netmap!.self.Key).toBe(a.nodeKeyText)
  })
  test('[CTL-3.6] logout is heard by the others', async () => {
    const key = await authKey()
    const a = await joined('nas', key)
    const b = await joined('laptop', key)
    await b.client.logout()
    await until(() => expect(a.peer('laptop')?.Expired === true || a.peer('laptop') === undefined).toBe(true))
  })
})
