/**
 * NetworkManager of the versions that must be told itself has long left the distributions; here is a stand-in that
 * speaks its part of the real protocol on a socket of its own. The bus connection is the real one.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  type DbusMessage,
  type DbusValue,
  dbusLength,
  dbusType,
  decodeDbus,
  encodeDbus,
} from '../../../src-protocol/wire/dbus.ts'
import { DbusConnection } from '../dbus/bus.ts'
import { NetworkManagerOsDns, readNetworkManager } from './network-manager.ts'

type Method = (body: readonly DbusValue[]) => { signature: string; body: readonly DbusValue[] } | { error: string }

const settings = [
  ['connection', [['id', { signature: 's', value: 'pintail0' }]]],
  ['ipv4', [['method', { signature: 's', value: 'manual' }]]],
]
const variant = (signature: string, value: DbusValue) => ({ signature: 'v', body: [{ signature, value }] })

let folder: string
let path: string
let server: Server
let applied: DbusValue[][]
const sockets = new Set<Socket>()
const properties: { readonly [name: string]: ReturnType<typeof variant> } = {
  Version: variant('s', '1.26.2'),
  Mode: variant('s', 'systemd-resolved'),
  Configuration: variant('aa{sv}', [
    [
      ['interface', { signature: 's', value: 'eth0' }],
      ['nameservers', { signature: 'as', value: ['192.0.2.53'] }],
      ['domains', { signature: 'as', value: ['old.example'] }],
    ],
    [
      ['interface', { signature: 's', value: 'pintail0' }],
      ['nameservers', { signature: 'as', value: ['100.100.100.100'] }],
    ],
  ]),
}
const methods: { readonly [member: string]: Method } = {
  Hello: () => ({ signature: 's', body: [':1.7'] }),
  NameHasOwner: ([name]) => ({ signature: 'b', body: [name === 'org.freedesktop.NetworkManager'] }),
  Get: ([, name]) => properties[String(name)] ?? { error: 'org.freedesktop.DBus.Error.UnknownProperty' },
  GetDeviceByIpIface: ([name]) =>
    name === 'pintail0'
      ? { signature: 'o', body: ['/org/freedesktop/NetworkManager/Devices/9'] }
      : { error: 'org.freedesktop.NetworkManager.UnknownDevice' },
  GetAppliedConnection: () => ({ signature: 'a{sa{sv}}t', body: [settings as unknown as DbusValue, 42n] }),
  Reapply: (body) => {
    applied.push([...body])
    return { signature: '', body: [] }
  },
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pt-bus-'))
  path = join(folder, 'bus')
  applied = []
  server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
    let have = Buffer.alloc(0)
    let isGreeted = false
    socket.on('data', (chunk) => {
      have = Buffer.concat([have, chunk])
      if (!isGreeted) {
        if (have.includes('AUTH EXTERNAL') && !have.includes('BEGIN')) socket.write('OK 0123456789abcdef\r\n')
        const begin = have.indexOf('BEGIN\r\n')
        if (begin < 0) return
        isGreeted = true
        have = have.subarray(begin + 7)
      }
      for (;;) {
        const length = dbusLength(have)
        if (!length.ok || length.value === undefined || have.length < length.value) return
        const message = decodeDbus(have.subarray(0, length.value))
        have = have.subarray(length.value)
        if (!message.ok) throw new Error(message.reason)
        const { serial, member = '', body } = message.value
        const answer = methods[member]?.(body) ?? { error: 'org.freedesktop.DBus.Error.UnknownMethod' }
        const head = { flags: 1, serial: 1_000 + serial, replySerial: serial, sender: ':1.0' }
        const reply: DbusMessage =
          'error' in answer
            ? { ...head, type: dbusType.error, errorName: answer.error, signature: 's', body: ['no such thing'] }
            : { ...head, type: dbusType.reply, ...answer }
        const bytes = encodeDbus(reply)
        socket.write(bytes.subarray(0, 7)) // in two pieces
        setImmediate(() => socket.write(bytes.subarray(7)))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
})
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  server.close()
  rmSync(folder, { recursive: true })
})

test('it is asked what it is, told about our device, and told again with nothing', async () => {
  const bus = await DbusConnection.open(path)
  expect([await bus.isOwned('org.freedesktop.NetworkManager'), await bus.isOwned('org.freedesktop.resolve1')]).toEqual([
    true,
    false,
  ])
  expect(await readNetworkManager(bus)).toEqual({ version: '1.26.2', usesResolved: true })
  bus.close()
  const dns = new NetworkManagerOsDns({
    interfaceName: 'pintail0',
    why: 'test',
    openBus: () => DbusConnection.open(path),
  })
  expect(await dns.base()).toEqual({ nameservers: ['192.0.2.53'], searchDomains: ['old.example'], matchDomains: [] })
  const desired = { nameservers: ['100.100.100.100'] as never, searchDomains: ['tail.example'], matchDomains: [] }
  expect(await dns.apply(desired)).toEqual({ kind: 'applied' })
  const ipv4 = (applied[0]![0] as [string, [string, unknown][]][]).find(([name]) => name === 'ipv4')![1]
  expect(Object.fromEntries(ipv4)).toEqual({
    method: { signature: 's', value: 'manual' },
    dns: { signature: 'au', value: [0x64646464] },
    'dns-search': { signature: 'as', value: ['tail.example', '~.'] },
    'dns-priority': { signature: 'i', value: -10 },
  })
  expect(applied[0]!.slice(1)).toEqual([42n, 0])
  await dns.close()
  expect(applied[1]![0]).toEqual([settings[0], settings[1], ['ipv6', [['method', { signature: 's', value: 'auto' }]]]])
})

test('what it refuses is said; a bus that goes away ends what waits', async () => {
  const dns = new NetworkManagerOsDns({
    interfaceName: 'other0',
    why: 'test',
    openBus: () => DbusConnection.open(path),
  })
  const desired = { nameservers: ['100.100.100.100'] as never, searchDomains: [], matchDomains: [] }
  expect(await dns.apply(desired)).toEqual({ kind: 'failed', message: 'NetworkManager: no such thing' })
  await dns.close()
  const bus = await DbusConnection.open(path)
  const closed = new Promise<void>((resolve) => {
    bus.onClose = resolve
  })
  for (const socket of sockets) socket.destroy()
  await closed
  await expect(bus.isOwned('x')).rejects.toMatchObject({ code: 'closed' })
  await expect(DbusConnection.open(join(folder, 'nobody'))).rejects.toMatchObject({ code: 'ENOENT' })
})
