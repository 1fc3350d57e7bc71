/**
 * What the kernel can do to a running data path: each fault is survived, counted, and visible in `pintail debug datapath`.
 * Errors come from the kernel where it can be made to answer them, else from strace, in the calls of the real daemon.
 */
import { type ChildProcess, execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DatapathReport } from '../src-contract/localapi/pintail.ts'
import { ControlServer } from './control-server.ts'
import { Daemon } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { endProcess } from './host.ts'
import { Internet } from './internet.ts'
import { transfer } from './transfer.ts'

const MIB = 1 << 20
const hasProgram = (name: string) => ['/usr/bin', '/usr/sbin', '/sbin'].some((place) => existsSync(join(place, name)))

let internet: Internet
let control: ControlServer
let near: Daemon
let far: Daemon
let nearAddress: string
let farAddress: string
const folder = mkdtempSync(join(tmpdir(), 'pt-'))

beforeAll(async () => {
  internet = await Internet.create()
  control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
    folder: join(folder, 'c'),
  })
  const key = await control.createKey()
  const open = async (name: string, environment = {}): Promise<Daemon> => {
    const { host } = await internet.publicHost(name)
    const daemon = await Daemon.start(host, { kind: 'ours', folder: join(folder, name), environment })
    await daemon.join(control.url, key, { Hostname: name })
    return daemon
  }
  near = await open('near')
  far = await open('far', { PINTAIL_AEAD: 'openssl' })
  nearAddress = await near.address()
  farAddress = await far.address()
  await near.untilDirect(farAddress, 20_000)
}, 60_000)

afterAll(async () => {
  await near?.stop()
  await far?.stop()
  await control?.stop()
  await internet?.close()
  discard(folder)
})

async function report(daemon: Daemon): Promise<DatapathReport> {
  const found = await daemon.client.pintailDatapath()
  if (found === undefined) throw new Error('no report')
  return found
}

/** Runs `work` while the daemon's system calls are answered as told; answers what strace saw. */
async function injecting(daemon: Daemon, inject: string, work: () => Promise<void>): Promise<string> {
  const call = inject.split(':')[0]!
  const args = ['-f', '-q', '-p', String(daemon.pid), '-e', `trace=${call}`, '-e', `inject=${inject}`]
  const strace: ChildProcess = daemon.host.start('strace', args)
  let output = ''
  strace.stderr?.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  try {
    // Nothing says when all threads are attached but their state.
    await eventually(
      'strace is attached',
      () => {
        const status = execFileSync('sh', ['-c', `grep -h ^TracerPid /proc/${daemon.pid}/task/*/status`]).toString()
        return status.split('\n').every((line) => !/\b0$/.test(line)) ? true : undefined
      },
      { withinMs: 10_000 },
    )
    await work()
  } finally {
    await endProcess(strace, 'SIGTERM')
  }
  return output
}

test('the native data path is in use, and says what it is made of', async () => {
  expect(await report(near)).toMatchObject({
    backend: 'native',
    whyNotNative: '',
    aead: expect.stringMatching(/^(ipsec-mb|openssl|openssl-evp)$/),
    interfaceName: 'pintail0',
    tunOffload: expect.stringContaining('TCP'),
    mtuBytes: 1280,
    socketProblem: '',
    peers: 1,
  })
  expect(await report(far)).toMatchObject({ backend: 'native', aead: expect.stringMatching(/^openssl(-evp)?$/) })
})

describe.skipIf(!hasProgram('strace'))('errors of system calls', () => {
  test('EIO on a joined send (no checksums in the driver): single datagrams from then on, until the sockets are new', async () => {
    await injecting(near, 'sendmmsg:error=EIO:when=30..60', async () => {
      expect(await transfer(near.host, far.host, farAddress, 20 * MIB, 60_000)).toBe(20 * MIB)
    })
    expect((await report(near)).faults['send-offload-off']).toBe(1)
    await near.client.request('POST', 'debug?action=rebind')
    expect(await transfer(near.host, far.host, farAddress, 5 * MIB)).toBe(5 * MIB)
    expect((await report(near)).faults['send-offload-off']).toBe(1)
  })

  test('ENOBUFS on sends: dropped, counted, and the next ones pass', async () => {
    const before = (await report(near)).drops['out-queue-full'] ?? 0
    await injecting(near, 'sendmmsg:error=ENOBUFS:when=1..4', async () => {
      await near.icmp(farAddress, { count: 20, intervalSeconds: 0.05 })
    })
    expect((await report(near)).drops['out-queue-full']).toBeGreaterThan(before)
    expect(await near.icmp(farAddress, { count: 3 })).toHaveLength(3)
  })

  test('ENOMEM on receiving: counted, no busy loop, and traffic goes on', async () => {
    await injecting(far, 'recvmmsg:error=ENOMEM:when=1..5', async () => {
      await near.icmp(farAddress, { count: 10, intervalSeconds: 0.1 })
    })
    expect((await report(far)).faults.receive).toBeGreaterThanOrEqual(1)
    expect(await near.icmp(farAddress, { count: 3 })).toHaveLength(3)
  })

  test('the interface refuses packets with EAGAIN: counted, and the next ones pass', async () => {
    const before = (await report(far)).faults['host-write'] ?? 0
    await injecting(far, 'writev:error=EAGAIN:when=1..3', async () => {
      await near.icmp(farAddress, { count: 20, intervalSeconds: 0.05 })
    })
    const after = await report(far)
    expect(after.faults['host-write']).toBeGreaterThan(before)
    expect(after.drops['in-interface-down']).toBeGreaterThanOrEqual(1)
    expect(await near.icmp(farAddress, { count: 3 })).toHaveLength(3)
  })

  test('EINVAL on a joined write: from then on one packet at a time, and TCP survives it', async () => {
    await injecting(far, 'writev:error=EINVAL:when=20..40', async () => {
      expect(await transfer(near.host, far.host, farAddress, 20 * MIB, 60_000)).toBe(20 * MIB)
    })
    expect((await report(far)).faults['host-joins-off']).toBeGreaterThanOrEqual(1)
  })
})

const packetsPass = () =>
  eventually(
    'packets pass again',
    async () => ((await near.icmp(farAddress, { waitSeconds: 1 })).length > 0 ? true : undefined),
    { withinMs: 25_000 },
  )

test('no descriptor left while the network changes: the daemon lives, and packets pass when there are some again', async () => {
  const nofile = (limit: string) => near.host.must('prlimit', ['--pid', String(near.pid), `--nofile=${limit}`])
  const before = await near.host.must('prlimit', [
    '--pid',
    String(near.pid),
    '--nofile',
    '-o',
    'SOFT,HARD',
    '--noheadings',
  ])
  const [soft, hard] = before.trim().split(/\s+/)
  const rebound = near.client.request('POST', 'debug?action=rebind')
  await nofile(`3:${hard}`) // more than that are open in any daemon
  try {
    await near.host.must('ip', ['link', 'set', 'eth0', 'down'])
    await near.host.must('ip', ['link', 'set', 'eth0', 'up'])
    await near.host.must('ip', ['route', 'add', 'default', 'via', '203.0.113.1', 'dev', 'eth0', 'onlink'])
    await new Promise((resolve) => setTimeout(resolve, 2_500)) // two looks of the network monitor
  } finally {
    await nofile(`${soft}:${hard}`)
  }
  await rebound.catch(() => undefined) // its own connection may be the one that was refused
  await packetsPass()
  expect(await far.icmp(nearAddress, { count: 2 })).toHaveLength(2)
}, 60_000)

test.skipIf(!hasProgram('strace'))(
  'no sockets to be had: health says so, and they come back by themselves',
  async () => {
    await injecting(near, 'socket:error=EMFILE:when=1+', async () => {
      await near.client.request('POST', 'debug?action=rebind')
      await eventually(
        'health says so',
        async () => ((await near.status()).Health?.join().includes('gives no UDP sockets') ? true : undefined),
        { withinMs: 5_000 },
      )
      expect((await report(near)).socketProblem).toContain('Too many open files')
    })
    await packetsPass() // over the relay at first
    await eventually('sockets', async () => ((await report(near)).socketProblem === '' ? true : undefined), {
      withinMs: 25_000,
    })
    expect((await near.status()).Health?.join() ?? '').not.toContain('UDP sockets')
  },
  60_000,
)

test('the interface taken down and up: packets are counted as lost, then pass again', async () => {
  await near.host.must('ip', ['link', 'set', 'pintail0', 'down'])
  await far.icmp(nearAddress, { count: 2, intervalSeconds: 0.2, waitSeconds: 1 })
  const down = await report(near)
  expect(down.faults['host-write']).toBeGreaterThanOrEqual(1)
  expect(down.drops['in-interface-down']).toBeGreaterThanOrEqual(1)
  await near.host.must('ip', ['link', 'set', 'pintail0', 'up'])
  await packetsPass()
})

test('`pintail debug datapath` shows all that was survived', async () => {
  const cli = fileURLToPath(new URL('../src-cli/main.ts', import.meta.url))
  const shown = await near.host.must(process.execPath, [cli, `--socket=${near.socketPath}`, 'debug', 'datapath'])
  const { drops, faults, aead } = await report(near)
  expect(shown).toMatch(new RegExp(`^AEAD +${aead}`, 'm'))
  expect(Object.keys(faults)).toContain('host-write')
  for (const [name, count] of Object.entries({ ...drops, ...faults })) {
    const [, seen] = new RegExp(`^  ${name} +(\\d+)$`, 'm').exec(shown) ?? []
    expect(Number(seen), name).toBeGreaterThan(0)
    expect(Number(seen), name).toBeLessThanOrEqual(count)
  }
})
