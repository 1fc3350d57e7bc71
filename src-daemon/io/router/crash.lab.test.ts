import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { client, exitNode } from './dies-while-applying.lab.ts'
import { ip, networkSnapshot, nft, run } from './host-state.lab.ts'
import { openLinuxRouter, undoLeftovers } from './linux.ts'

const device = `dmk${process.pid % 10_000}`
const script = fileURLToPath(new URL('./dies-while-applying.lab.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'pt-killer-'))
let before = ''

/** Programs that count what is written, and kill who asked before or after the call that `kill-at` names. */
function killer(program: string, isWrite: string): void {
  const path = join(folder, program)
  writeFileSync(
    path,
    `#!/bin/sh
is_write=no
if [ "$1" = --check ]; then exec ${run('which', program).trim()} "$@"; fi
for word; do case "$word" in ${isWrite}) is_write=yes ;; esac; done
if [ $is_write = no ]; then exec ${run('which', program).trim()} "$@"; fi
count=$(($(cat ${folder}/count) + 1))
echo $count > ${folder}/count
read at when < ${folder}/kill-at
if [ $count = $at ] && [ $when = before ]; then kill -9 $PPID; exit 1; fi
${run('which', program).trim()} "$@"
status=$?
if [ $count = $at ]; then kill -9 $PPID; fi
exit $status
`,
  )
  chmodSync(path, 0o755)
}

/** How many writes there were. */
function runAndKill(at: number, when: 'before' | 'after', closed = ''): number {
  writeFileSync(join(folder, 'count'), '0\n')
  writeFileSync(join(folder, 'kill-at'), `${at} ${when}\n`)
  const { signal, status, stderr } = spawnSync(process.execPath, [script, device, folder, closed], { encoding: 'utf8' })
  if (at === 0 ? status !== 0 : signal !== 'SIGKILL') throw new Error(`${status} ${signal} ${stderr}`)
  return Number(readFileSync(join(folder, 'count'), 'utf8'))
}

beforeAll(() => {
  killer('ip', '-batch')
  killer('nft', '*"add table"*|*"delete table"*')
})
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(() => {
  ip('tuntap', 'add', 'dev', device, 'mode', 'tun')
  ip('link', 'set', device, 'mtu', '1280')
  before = networkSnapshot(device)
})
afterEach(() => {
  nft('flush ruleset\n')
  ip('tuntap', 'del', 'dev', device, 'mode', 'tun')
})

test('[RT-8] [F14] killed at every step, the next start finds and leaves what was there before', async () => {
  const writes = runAndKill(0, 'after')
  expect(networkSnapshot(device)).toBe(before)
  expect(writes).toBeGreaterThan(8)
  // Before each write; and right after those that are followed by something else than a write.
  const moments = Array.from({ length: writes }, (_, i) => ({ at: i + 1, when: 'before' as 'before' | 'after' }))
  for (const { at, when } of [...moments, { at: 1, when: 'after' as const }, { at: writes, when: 'after' as const }]) {
    runAndKill(at, when)
    if (at % 2 === 0) await undoLeftovers(device)
    else {
      const router = await openLinuxRouter(device)
      expect(networkSnapshot(device), `killed ${when} write ${at}`).toBe(before)
      expect(await router.apply(exitNode)).toEqual({ kind: 'applied', warnings: [] })
      await router.close()
    }
    expect(networkSnapshot(device), `killed ${when} write ${at}`).toBe(before)
  }
}, 90_000)

test('[RT-7] closed when killed with an exit node, until the next daemon has applied or --cleanup', async () => {
  // The packet filter, the interface, rules of both families, and then the routes of the exit node.
  const lastOfExitNode = 5
  runAndKill(lastOfExitNode, 'after', 'closed')
  ip('tuntap', 'del', 'dev', device, 'mode', 'tun') // as with a daemon, whose interface goes with it
  const leaves = (...words: string[]): string => {
    try {
      return execFileSync('ip', ['route', 'get', ...words], { encoding: 'utf8', stdio: 'pipe' }).split('\n')[0] ?? ''
    } catch (error) {
      return String((error as { stderr?: string }).stderr).trim()
    }
  }
  ip('link', 'add', `${device}v`, 'type', 'veth', 'peer', 'name', `${device}p`)
  try {
    ip('address', 'add', '203.0.113.9/24', 'dev', `${device}v`)
    ip('link', 'set', `${device}v`, 'up')
    ip('link', 'set', `${device}p`, 'up')
    ip('route', 'add', 'default', 'via', '203.0.113.1')
    const isClosed = (): void => {
      expect(leaves('198.51.100.1')).toMatch(/No route to host|unreachable/)
      expect(leaves('2001:db8::1')).toMatch(/No route to host|unreachable/)
      expect(leaves('198.51.100.1', 'mark', '0x80000')).toContain(`dev ${device}v`)
      expect(leaves('10.0.3.4')).toContain(`dev ${device}v`)
    }
    isClosed()
    ip('tuntap', 'add', 'dev', device, 'mode', 'tun')
    const router = await openLinuxRouter(device)
    isClosed()
    expect(await router.apply({ ...exitNode, staysClosedAfterCrash: true })).toEqual({ kind: 'applied', warnings: [] })
    expect(leaves('198.51.100.1')).toContain(`dev ${device}`)
    await router.apply(client)
    expect(leaves('198.51.100.1')).toContain(`dev ${device}v`)
    await router.close()
    runAndKill(lastOfExitNode, 'after', 'closed')
    ip('tuntap', 'del', 'dev', device, 'mode', 'tun')
    isClosed()
    await undoLeftovers(device)
    expect(leaves('198.51.100.1')).toContain(`dev ${device}v`)
    expect(ip('rule')).not.toContain('52')
    expect(run('nft', 'list', 'ruleset')).toBe('')
  } finally {
    ip('link', 'del', `${device}v`)
    if (!ip('-o', 'link').includes(`${device}:`)) ip('tuntap', 'add', 'dev', device, 'mode', 'tun')
  }
})
