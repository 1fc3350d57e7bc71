/** Descriptors that the native parts are given, or are not given. */
import { execFile } from 'node:child_process'
import { fstatSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { loadAddon } from './addon.ts'

const found = loadAddon()
const withAddon = test.skipIf(!found.ok)
const addon = found.ok ? found.addon : undefined

withAddon('sockets that come after the path was closed are closed, too', () => {
  const native = addon!.dataPath
  const path = native.create(1280, '', 0, 0)
  native.close(path)
  const sockets = [addon!.openUdp(4, 0, 0).fd, addon!.openUdp(4, 0, 0).fd] as const
  native.setSockets(path, ...sockets)
  for (const fd of sockets) expect(() => fstatSync(fd)).toThrow('EBADF')
})

withAddon('a path is started once, and not after its end', () => {
  const native = addon!.dataPath
  const path = native.create(1280, '', 0, 0)
  native.start(path, -1, 0, () => {})
  expect(() => native.start(path, -1, 0, () => {})).toThrow('already in progress')
  native.close(path)
  expect(() => native.start(path, -1, 0, () => {})).toThrow('already in progress')
})

// A sanitizer needs descriptors itself: to see whether memory may be read, it opens a pipe, and takes the failure for a "no".
const isSanitized = process.env.PINTAIL_SANITIZED_NODE !== undefined

test.skipIf(!found.ok || isSanitized)(
  'without a descriptor to stop their threads with, path and reader are errors and not something that never ends',
  async () => {
    const code = `
    const { loadAddon } = await import(${JSON.stringify(fileURLToPath(new URL('addon.ts', import.meta.url)))})
    const { openSync } = await import('node:fs')
    const { addon } = loadAddon()
    addon.dataPath.hasBackend('')
    const codeOf = (call) => { try { call(); return 'opened' } catch (error) { return error.code } }
    const { fd } = addon.openUdp(4, 0, 0)
    while (codeOf(() => openSync('/dev/null')) === 'opened');
    console.log(codeOf(() => addon.dataPath.create(1280, '', 0, 0)), codeOf(() => addon.startReader(fd, 'udp', 2048, 8, () => {})))
    process.exit(0)`
    const words = ['-c', 'ulimit -n 64 && exec "$0" "$@"', process.execPath, '--input-type=module', '-e', code]
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
      execFile('sh', words, { timeout: 20_000 }, (_error, out, err) => resolve({ stdout: out, stderr: err }))
    })
    expect([stdout, stderr]).toEqual(['EMFILE EMFILE\n', ''])
  },
)
