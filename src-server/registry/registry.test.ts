import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { MachineKeyText, NodeKeyText } from '../../src-contract/ids.ts'
import { openDatabase } from '../store/database.ts'
import { Store } from '../store/store.ts'
import { AddressPool } from './addresses.ts'
import { sanitizeHostname, uniqueName } from './names.ts'
import { findKey } from './preauth.ts'
import { type Change, Registry } from './registry.ts'

let folder: string
let now = 1_700_000_000_000
let registry: Registry
const options = { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', nodeExpiryMs: 0, now: () => now }

async function open(extra: object = {}) {
  return Registry.open(new Store(await openDatabase(join(folder, 'db.sqlite'))), { ...options, ...extra })
}
const machine = (n: number) => `mkey:${String(n).padStart(64, '0')}` as MachineKeyText
const nodeKey = (n: number) => `nodekey:${String(n).padStart(64, '0')}` as NodeKeyText
function must<T>(outcome: { ok: true; value: T } | { ok: false; message: string }): T {
  if (!outcome.ok) throw new Error(outcome.message)
  return outcome.value
}
const join1 = (n: number, userId: number, hostname = 'box', key = n) =>
  registry.register({
    machineKey: machine(n),
    nodeKey: nodeKey(key),
    owner: { userId },
    method: 'cli',
    hostinfo: { Hostname: hostname },
    capVersion: 131,
  })

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-registry-'))
  registry = await open()
})
afterEach(async () => {
  await registry.close()
  rmSync(folder, { recursive: true })
})

test('[SRV-2.1] a node gets an id, addresses and a unique name, and is there after a restart', async () => {
  const user = must(await registry.createUser({ name: 'alice' }))
  const a = must(await join1(1, user.id))
  const b = must(await join1(2, user.id))
  expect([a.id, a.ipv4, a.ipv6, a.givenName]).toEqual([1, '100.64.0.1', 'fd7a:115c:a1e0::1', 'box'])
  expect([b.id, b.ipv4, b.ipv6, b.givenName]).toEqual([2, '100.64.0.2', 'fd7a:115c:a1e0::2', 'box-1'])
  registry.update(a.id, { homeDerp: 999, endpoints: ['192.0.2.1:1' as never] })
  await registry.close()
  registry = await open()
  expect([...registry.nodes.values()]).toEqual([{ ...a, homeDerp: 999, endpoints: ['192.0.2.1:1'] }, b])
})

test('[SRV-2.2] the same machine and owner keep the node through a new key; another owner is another node', async () => {
  const alice = must(await registry.createUser({ name: 'alice' }))
  const bob = must(await registry.createUser({ name: 'bob' }))
  const first = must(await join1(1, alice.id))
  const again = must(await join1(1, alice.id, 'box', 11))
  expect(again).toMatchObject({ id: first.id, ipv4: first.ipv4, nodeKey: nodeKey(11) })
  expect(registry.nodeByKey(nodeKey(1))).toBeUndefined()
  expect(must(await join1(1, bob.id, 'box', 12)).id).not.toBe(first.id)
  expect(await join1(2, bob.id, 'x', 11)).toMatchObject({ ok: false, code: 'in-use' })
})

test('[SRV-2.3] pre-auth keys: once, reusable, expired, expired by hand, wrong secret, tags, ephemeral', async () => {
  const alice = must(await registry.createUser({ name: 'alice' }))
  const make = async (extra: object = {}) =>
    must(
      await registry.createKey({
        userId: alice.id,
        tags: [],
        reusable: false,
        ephemeral: false,
        expiresAt: now + 1000,
        ...extra,
      }),
    )
  const use = (keyId: number, n: number, hostinfo = {}) =>
    registry.register({
      machineKey: machine(n),
      nodeKey: nodeKey(n),
      owner: { keyId },
      method: 'auth-key',
      hostinfo,
      capVersion: 131,
    })
  const once = await make()
  expect(findKey(once.text, (id) => registry.keyByPublicId(id))?.id).toBe(once.key.id)
  expect(
    findKey(`${once.text.slice(0, -1)}${once.text.endsWith('0') ? '1' : '0'}`, (id) => registry.keyByPublicId(id)),
  ).toBeUndefined()
  const [one, two] = await Promise.all([use(once.key.id, 1), use(once.key.id, 2)])
  expect([one.ok, two]).toMatchObject([true, { ok: false, message: 'authkey already used' }])
  const many = await make({ reusable: true, ephemeral: true })
  expect(must(await use(many.key.id, 3)).ephemeral).toBe(true)
  expect((await use(many.key.id, 4)).ok).toBe(true)
  const tagged = await make({ tags: ['tag:web'], reusable: true })
  expect(must(await use(tagged.key.id, 5, { RequestTags: ['tag:web'] }))).toMatchObject({
    tags: ['tag:web'],
    userId: null,
    expiresAt: null,
  })
  expect(await use(tagged.key.id, 6, { RequestTags: ['tag:db'] })).toMatchObject({
    ok: false,
    message: expect.stringContaining('tag:db'),
  })
  await registry.expireKey(tagged.key.id)
  expect(await use(tagged.key.id, 7)).toMatchObject({ ok: false, message: 'authkey expired' })
  now += 2000
  expect(await use(many.key.id, 8)).toMatchObject({ ok: false, message: 'authkey expired' })
})

test('[SRV-2.4] ids and addresses of deleted nodes do not come back at once; a tombstone stays', async () => {
  const user = must(await registry.createUser({ name: 'alice' }))
  await join1(1, user.id)
  const b = must(await join1(2, user.id))
  await registry.deleteNode(b.id)
  await registry.close()
  registry = await open()
  expect(registry.tombstone(nodeKey(2))?.machineKey).toBe(machine(2))
  expect(must(await join1(3, user.id)).id).toBe(3)
  expect(must(await registry.destroyUser(must(await registry.createUser({ name: 'bob' })).id)).name).toBe('bob')
  expect(await registry.destroyUser(user.id)).toMatchObject({ ok: false, code: 'in-use' })
})

test('[SRV-2.5] names follow the computer until an administrator chooses one', async () => {
  const user = must(await registry.createUser({ name: 'alice' }))
  const a = must(await join1(1, user.id, 'Büro PC.local'))
  const b = must(await join1(2, user.id, 'nas'))
  expect(a.givenName).toBe('bro-pc')
  expect(registry.update(a.id, { hostinfo: { Hostname: 'nas' } })?.givenName).toBe('nas-1')
  expect(await registry.rename(a.id, 'nas')).toMatchObject({ ok: false, code: 'exists' })
  expect(await registry.rename(a.id, '-x')).toMatchObject({ ok: false, code: 'invalid' })
  must(await registry.rename(a.id, 'desk'))
  expect(registry.update(a.id, { hostinfo: { Hostname: 'other' } })?.givenName).toBe('desk')
  must(await registry.deleteNode(b.id))
  expect(must(await join1(3, user.id, 'nas')).givenName).toBe('nas')
})

test('[SRV-2.6] listeners hear what was and what is', async () => {
  const heard: Change[] = []
  registry.onChange((change) => heard.push(change))
  const user = must(await registry.createUser({ name: 'alice' }))
  const node = must(await join1(1, user.id))
  registry.update(node.id, { homeDerp: 3 })
  must(await registry.deleteNode(node.id))
  expect(heard).toEqual([
    { kind: 'node-added', node },
    { kind: 'node-changed', before: node, after: { ...node, homeDerp: 3 } },
    { kind: 'node-removed', node: { ...node, homeDerp: 3 } },
  ])
})

test('[SRV-2.7] when the store cannot write, nothing changes', async () => {
  const user = must(await registry.createUser({ name: 'alice' }))
  const store = new Store(await openDatabase(':memory:'))
  const other = await Registry.open(store, options)
  await store.close()
  await expect(other.createUser({ name: 'bob' })).rejects.toThrow()
  expect(other.users.size).toBe(0)
  expect(user.id).toBe(1)
})

test('[SRV-2.8] a node registered with an expiry carries it', async () => {
  await registry.close()
  registry = await open({ nodeExpiryMs: 1000 })
  const user = must(await registry.createUser({ name: 'alice' }))
  expect(must(await join1(1, user.id)).expiresAt).toBe(now + 1000)
})

test('[SRV-2.9] addresses skip what is reserved, wrap around and end', () => {
  const pool = new AddressPool('100.100.100.96/29', [])
  expect([1, 2, 3, 4, 5, 6].map(() => pool.take())).toEqual([
    '100.100.100.97',
    '100.100.100.98',
    '100.100.100.99',
    '100.100.100.101',
    '100.100.100.102',
    undefined,
  ])
  pool.free('100.100.100.98')
  expect(pool.take()).toBe('100.100.100.98')
  expect(new AddressPool('100.115.92.0/22', ['100.115.93.0']).take()).toBe('100.115.94.0')
  expect(new AddressPool('fd7a:115c:a1e0::/48', ['fd7a:115c:a1e0::52']).take()).toBe('fd7a:115c:a1e0::54')
})

test('[SRV-2.10] host names become labels', () => {
  const cases: [string, string][] = [
    ['Laptop', 'laptop'],
    ['my laptop.local', 'my-laptop'],
    ['a_b@c.d', 'a-b-c-d'],
    ['--x--', 'x'],
    ['日本', ''],
    ['<script>', 'script'],
    ['x'.repeat(80), 'x'.repeat(63)],
  ]
  for (const [from, to] of cases) expect(sanitizeHostname(from)).toBe(to)
  expect(uniqueName('', () => false)).toBe('node')
  expect(uniqueName('y'.repeat(63), (name) => name === 'y'.repeat(63))).toBe(`${'y'.repeat(61)}-1`)
})
