import { existsSync, mkdtempSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { UapiChange, UapiErrno } from '../../../src-protocol/wire/uapi.ts'
import { silentLog } from '../log/log.ts'
import { openUapiSocket, type UapiSocket } from './socket.ts'

let folder: string
let sockets: UapiSocket[]
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'pt-')), 'wireguard')
  sockets = []
})
afterEach(async () => {
  for (const socket of sockets) await socket.close()
  rmSync(join(folder, '..'), { recursive: true, force: true })
})

const key = (byte: number) => new Uint8Array(32).fill(byte)
const hex = (byte: string) => byte.repeat(32)

async function open(
  options: {
    uid?: number
    onRemoved?: () => void
    apply?: (change: UapiChange) => Promise<UapiErrno | undefined>
  } = {},
): Promise<UapiSocket> {
  const { uid = 0, onRemoved, apply = async () => undefined } = options
  const peer = {
    publicKey: key(2),
    presharedKey: key(3),
    rxBytes: 0,
    txBytes: 0,
    persistentKeepaliveSeconds: 0,
    allowedIps: [],
  }
  const socket = await openUapiSocket({
    interfaceName: 'wg9',
    folder,
    handler: { state: () => ({ privateKey: key(1), listenPort: 7, fwmark: 0, peers: [peer] }), apply },
    credentialsOf: () => ({ pid: 1, uid, gid: uid }),
    ...(onRemoved === undefined ? {} : { onRemoved }),
    log: silentLog,
  })
  sockets.push(socket)
  return socket
}

/** Everything that is answered until the other side ends. */
function ask(path: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const client = connect(path, () => client.end(text))
    client.on('data', (chunk) => {
      answer += chunk
    })
    client.once('error', reject)
    client.once('close', () => resolve(answer))
  })
}

test('[UAPI-3.1] the folder and the socket are their owner’s alone', async () => {
  const { path } = await open()
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('[UAPI-3.1] root is told keys and may change; nobody else', async () => {
  const request = `get=1\n\nset=1\nlisten_port=1\n\n`
  const asRoot = await open()
  const told = await ask(asRoot.path, request)
  expect(told).toContain(`private_key=${hex('01')}\n`)
  expect(told).toContain(`preshared_key=${hex('03')}\n`)
  expect(told.endsWith('errno=0\n\nerrno=0\n\n')).toBe(true)
  await asRoot.close()
  const asOther = await ask((await open({ uid: 1000 })).path, request)
  expect(asOther).toContain(`public_key=${hex('02')}\n`)
  expect(asOther).not.toContain(hex('01'))
  expect(asOther).not.toContain(hex('03'))
  expect(asOther.endsWith('errno=0\n\nerrno=-1\n\n')).toBe(true)
})

test('[UAPI-1.1] requests of one connection are answered in turn', async () => {
  const order: (number | undefined)[] = []
  const { path } = await open({
    apply: async ({ listenPort }) => {
      await new Promise((resolve) => setTimeout(resolve, listenPort === 1 ? 30 : 0))
      order.push(listenPort)
      return listenPort === 1 ? 'EADDRINUSE' : undefined
    },
  })
  const answer = await ask(path, 'set=1\nlisten_port=1\n\nset=1\nlisten_port=2\n\nset=1\nlisten_port=x\n\n')
  expect(answer).toBe('errno=-98\n\nerrno=0\n\nerrno=-22\n\n')
  expect(order).toEqual([1, 2])
})

test('[UAPI-1.6] after nonsense the connection ends', async () => {
  const { path } = await open()
  expect(await ask(path, 'GET / HTTP/1.1\nget=1\n\n')).toBe('errno=-71\n\n')
})

test('[UAPI-3.2] a file that nobody answers on is replaced; a socket in use is not', async () => {
  const first = await open()
  await expect(open()).rejects.toThrow(/another program answers/)
  expect(await ask(first.path, 'set=1\n\n')).toBe('errno=0\n\n')
  await first.close()
  expect(existsSync(first.path)).toBe(false)
  writeFileSync(first.path, '')
  expect(await ask((await open()).path, 'set=1\n\n')).toBe('errno=0\n\n')
})

test('[UAPI-3.6] it notices when its file is deleted, and leaves a successor’s file alone', async () => {
  const removed = Promise.withResolvers<void>()
  const first = await open({ onRemoved: removed.resolve })
  unlinkSync(first.path)
  await removed.promise
  const second = await open()
  await first.close()
  expect(await ask(second.path, 'set=1\n\n')).toBe('errno=0\n\n')
})
