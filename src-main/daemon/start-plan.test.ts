import { expect, test } from 'vitest'
import { daemonStart, type MachineFacts } from './start-plan.ts'

function machine(files: string[], part: Partial<MachineFacts> = {}): MachineFacts {
  return {
    platform: 'linux',
    socketPath: '/run/pintail/pintaild.sock',
    isRoot: false,
    appFolder: '/opt/Pintail',
    exists: (path) => files.includes(path),
    ...part,
  }
}
const systemd = ['/usr/bin/systemctl', '/run/systemd/system']

test('with a unit the app may start it', () => {
  expect(daemonStart(machine([...systemd, '/usr/lib/systemd/system/pintaild.service']))).toEqual({
    command: 'sudo systemctl start pintaild',
    run: ['/usr/bin/systemctl', 'start', 'pintaild'],
  })
})

test('a stock socket means the stock service', () => {
  const stock = { socketPath: '/run/tailscale/tailscaled.sock' }
  expect(daemonStart(machine([...systemd, '/lib/systemd/system/tailscaled.service'], stock)).run).toEqual([
    '/usr/bin/systemctl',
    'start',
    'tailscaled',
  ])
  expect(daemonStart(machine([], stock))).toEqual({ command: 'sudo tailscaled', run: undefined })
})

test('from a checkout the person types it; odd paths are quoted', () => {
  const here = { appFolder: "/home/o'neil/my src", isRoot: true }
  expect(daemonStart(machine(["/home/o'neil/my src/bin/pintaild.mjs"], here))).toEqual({
    command: `'/home/o'\\''neil/my src/bin/pintaild.mjs' --socket /run/pintail/pintaild.sock`,
    run: undefined,
  })
})
