import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { addonMissing, sendUnixDatagram } from '../../../src-native/os-calls.ts'
import { createLog, silentLog } from '../log/log.ts'
import { openServiceManager } from './notify.ts'

test('[PV-6] ready, status and stopping; the address is not passed on to programs we run', () => {
  const env = { NOTIFY_SOCKET: '/run/systemd/notify' }
  const sent: string[] = []
  const manager = openServiceManager(env, silentLog, (path, text) => sent.push(`${path} ${text}`))
  manager.ready()
  manager.status('Connected; a@example.com\nREADY=0')
  manager.status('Connected; a@example.com\nREADY=0')
  manager.stopping()
  expect(sent).toEqual([
    '/run/systemd/notify READY=1',
    '/run/systemd/notify STATUS=Connected; a@example.com READY=0',
    '/run/systemd/notify STOPPING=1',
  ])
  expect(env).toEqual({})
})

test.each([undefined, '', 'relative', '@', '/'])('[PV-6] nobody asked: %j', (NOTIFY_SOCKET) => {
  const manager = openServiceManager({ NOTIFY_SOCKET }, silentLog, () => {
    throw new Error('must not be called')
  })
  manager.ready()
})

test('[PV-6] a service manager that is gone is noted, and nothing more', () => {
  let log = ''
  const manager = openServiceManager(
    { NOTIFY_SOCKET: '/nowhere/notify' },
    createLog({ level: 'info', write: (line) => (log += line), wallClockMs: () => 0 }),
  )
  manager.ready()
  expect(log).toContain('service-manager-unreachable')
})

const python = '/usr/bin/python3'
test.skipIf(addonMissing() !== undefined || !existsSync(python))(
  '[PV-6] datagrams arrive whole, at a path and in the abstract name space',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pt-notify-'))
    try {
      for (const path of [join(folder, 'notify'), `@pintail-test-${process.pid}`]) {
        const listener =
          'import socket,sys;s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind(sys.argv[1].replace("@","\\0",1));' +
          'print("bound",flush=True);s.settimeout(10);print(s.recv(4096).decode())'
        const child = spawn(python, ['-c', listener, path], { stdio: ['ignore', 'pipe', 'inherit'] })
        let heard = ''
        await new Promise<void>((resolve) => {
          child.stdout.on('data', (chunk) => {
            const isFirst = heard === ''
            heard += String(chunk)
            if (isFirst) sendUnixDatagram(path, 'READY=1')
          })
          child.once('close', () => resolve())
        })
        expect(heard).toBe('bound\nREADY=1\n')
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)

test.skipIf(addonMissing() !== undefined)('[PV-6] a path that no socket can have is an error, not a crash', () => {
  for (const path of ['', `/${'x'.repeat(200)}`]) expect(() => sendUnixDatagram(path, 'x')).toThrow(/unix datagram/)
})
