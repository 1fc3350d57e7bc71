import { expect, test } from 'vitest'
import { parseFlags } from './flags.ts'

test('defaults', () => {
  expect(parseFlags([], '1')).toEqual({
    socketPath: '/run/pintail/pintaild.sock',
    stateFolder: '/var/lib/pintail',
    rootHelperPath: '/run/pintail-root/helper.sock',
    tunName: 'pintail0',
    udpPort: 41641,
    uapi: false,
    socksServer: undefined,
    httpProxy: undefined,
    logLevel: 'info',
    cleanup: false,
  })
})

test('[RT-8] --cleanup', () => {
  expect(parseFlags(['--cleanup'], '1').cleanup).toBe(true)
})

test('both forms of a flag, and those that service files of stock daemons pass', () => {
  const argv = [
    '--socket=/s',
    '--statedir',
    '/d',
    '--tun=userspace-networking',
    '--port=0',
    '--uapi',
    '--socks5-server=:1055',
    '--outbound-http-proxy-listen=[::1]:1056',
    '--no-logs-no-support',
    '--verbose=1',
  ]
  expect(parseFlags(argv, '1')).toEqual({
    socketPath: '/s',
    rootHelperPath: '/run/pintail-root/helper.sock',
    stateFolder: '/d',
    tunName: undefined,
    udpPort: 0,
    uapi: true,
    socksServer: { host: '127.0.0.1', port: 1055 },
    httpProxy: { host: '::1', port: 1056 },
    logLevel: 'info',
    cleanup: false,
  })
})
