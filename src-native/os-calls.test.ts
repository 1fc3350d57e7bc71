import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { addonMissing, closeFd, createMarkedSocket, peerCredentials, setSocketMark } from './os-calls.ts'

const withAddon = addonMissing() === undefined ? test : test.skip
const fdOf = (socket: Socket): number => (socket as unknown as { _handle: { fd: number } })._handle.fd
const listen = (server: Server, where: string | number) =>
  new Promise<void>((done) =>
    typeof where === 'string' ? server.listen(where, done) : server.listen(where, '127.0.0.1', done),
  )

describe('os calls', () => {
  withAddon('who is calling on a unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'os-calls-'))
    const server = createServer()
    await listen(server, join(folder, 's'))
    const accepted = new Promise<Socket>((done) => server.once('connection', done))
    const client = connect(join(folder, 's'))
    const socket = await accepted
    expect(peerCredentials(fdOf(socket))).toEqual({
      pid: process.pid,
      uid: process.getuid!(),
      gid: process.getgid!(),
    })
    client.destroy()
    socket.destroy()
    server.close()
    rmSync(folder, { recursive: true })
  })

  withAddon('a socket made here connects as one of Node’s', async () => {
    const server = createServer((socket) => socket.end('hello'))
    await listen(server, 0)
    const { port } = server.address() as { port: number }
    const mark = process.getuid!() === 0 ? 0x80000 : 0
    const socket = new Socket({ fd: createMarkedSocket(4, mark) })
    socket.connect({ host: '127.0.0.1', port })
    const text = await new Promise<string>((done, failed) => {
      socket.once('data', (bytes) => done(String(bytes)))
      socket.once('error', failed)
    })
    expect(text).toBe('hello')
    socket.destroy()
    server.close()
  })

  withAddon('errors carry their code', () => {
    expect(() => peerCredentials(-1)).toThrow(expect.objectContaining({ code: 'EBADF' }))
    expect(() => setSocketMark(-1, 1)).toThrow(expect.objectContaining({ code: 'EBADF' }))
    expect(() => peerCredentials('x' as never)).toThrow(TypeError)
    closeFd(createMarkedSocket(6, 0))
  })
})
