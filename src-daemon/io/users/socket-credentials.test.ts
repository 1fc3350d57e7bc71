import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { addonMissing } from '../../../src-native/os-calls.ts'
import { readSocketCredentials, socketDescriptor } from './socket-credentials.ts'

async function accepted(check: (socket: Socket) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-cred-'))
  const server = createServer()
  try {
    await new Promise<void>((resolve) => server.listen(join(folder, 's'), resolve))
    const socket = new Promise<Socket>((resolve) => server.once('connection', resolve))
    const client = connect(join(folder, 's'))
    check(await socket)
    client.destroy()
  } finally {
    server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

test('an accepted socket still has a descriptor where we look for it', async () => {
  await accepted((socket) => expect(socketDescriptor(socket)).toBeGreaterThan(2))
})

test.skipIf(addonMissing() !== undefined)('the kernel says who is calling: this very process', async () => {
  await accepted((socket) => {
    expect(readSocketCredentials(socket)).toEqual({
      pid: process.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    })
    socket.destroy()
  })
})
