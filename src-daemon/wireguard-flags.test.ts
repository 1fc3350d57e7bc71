import { expect, test } from 'vitest'
import { parseWireGuardFlags } from './wireguard-flags.ts'

test('[UAPI-5.1] the command line and the environment of wireguard-go', () => {
  expect(parseWireGuardFlags(['wg0'], {}, '1')).toEqual({
    interfaceName: 'wg0',
    isForeground: false,
    logLevel: 'error',
  })
  expect(parseWireGuardFlags(['-f', 'wg0'], { LOG_LEVEL: 'verbose' }, '1')).toEqual({
    interfaceName: 'wg0',
    isForeground: true,
    logLevel: 'debug',
  })
  expect(parseWireGuardFlags(['wg0'], { WG_PROCESS_FOREGROUND: '1', LOG_LEVEL: 'silent' }, '1')).toEqual({
    interfaceName: 'wg0',
    isForeground: true,
    logLevel: undefined,
  })
})
