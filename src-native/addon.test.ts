import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { loadAddon } from './addon.ts'

const withAddon = loadAddon().ok ? test : test.skip
const door = fileURLToPath(new URL('open-data-path.ts', import.meta.url))

/** Opens a data path that sends itself a datagram; `onEvents` and `afterwards` are code. */
function run(onEvents: string, afterwards: string): Promise<{ code: number; stderr: string }> {
  const code = `
    const { openDataPath } = await import(${JSON.stringify(door)})
    const path = await openDataPath({ tunName: undefined, mtuBytes: 1280, udpPort: 0, fwmark: 0, onEvents: () => { ${onEvents} } })
    path.sendDatagram('127.0.0.1:' + path.udpPorts.v4, new Uint8Array(50))
    ${afterwards}`
  return new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', code], { timeout: 10_000 }, (error, _stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stderr })
    })
  })
}

withAddon('an exception in onEvents is as loud as any other', async () => {
  const { code, stderr } = await run('throw new Error("from the receiver")', '')
  expect(code).toBe(1)
  expect(stderr).toContain('from the receiver')
})

withAddon('closing inside onEvents lets the process end', async () => {
  expect(await run('void path.close()', '')).toEqual({ code: 0, stderr: '' })
})

withAddon('the process may exit with readers still running', async () => {
  expect(await run('process.exit(7)', '')).toEqual({ code: 7, stderr: '' })
})
