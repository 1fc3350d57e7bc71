import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { endProcess, ip } from '../lab/host.ts'
import { Internet, type PublicHost } from '../lab/internet.ts'

const program = fileURLToPath(new URL('static-tunnel.lab.ts', import.meta.url))

interface Tunnel {
  readonly process: ChildProcess
  /** The line printed at the end. */
  readonly report: Promise<{ drops: object; events: string[]; peer: { rxPackets: number } }>
}

let internet: Internet
let a: PublicHost
let b: PublicHost
let tunnels: Tunnel[] = []

async function start(host: PublicHost, side: string, remote: string): Promise<Tunnel> {
  const child = host.host.start(process.execPath, [program, side, remote], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout! })
  const seen: string[] = []
  lines.on('line', (line) => seen.push(line))
  await once(lines, 'line')
  expect(seen[0]).toMatch(new RegExp(`^up static-${side} `))
  return { process: child, report: once(child, 'close').then(() => JSON.parse(seen.at(-1)!)) }
}

beforeAll(async () => {
  internet = await Internet.create()
  a = await internet.publicHost('ntv-a')
  b = await internet.publicHost('ntv-b')
  tunnels = await Promise.all([start(a, 'a', b.address), start(b, 'b', a.address)])
})
afterAll(() => internet?.close())

test('packets pass through two real interfaces, both families, all sizes', async () => {
  for (const target of ['100.64.0.2', 'fd7a:115c:a1e0::2']) {
    for (const size of [0, 1, 15, 16, 1200, 1232, 4000]) {
      const said = await a.host.must('ping', ['-n', '-c', '5', '-i', '0.02', '-W', '2', '-s', String(size), target])
      expect(said, `${target} ${size}`).toContain(' 0% packet loss')
    }
  }
})

test('an interface taken down and up again is told, and works again', async () => {
  await ip(`-n ${b.host.name} link set static-b down`)
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  await ip(`-n ${b.host.name} link set static-b up`, `-n ${b.host.name} route replace 100.64.0.1 dev static-b`)
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  const said = await a.host.must('ping', ['-n', '-c', '5', '-i', '0.02', '-W', '2', '100.64.0.2'])
  expect(said).toContain(' 0% packet loss')
})

test('no link-local address, so nothing of the kernel’s own leaves through the tunnel', async () => {
  expect(await a.host.must('ip', ['-6', 'addr', 'show', 'dev', 'static-a'])).not.toContain('fe80')
})

test('it ends cleanly and leaves no interface', async () => {
  await Promise.all(tunnels.map((tunnel) => endProcess(tunnel.process)))
  const [ofA, ofB] = await Promise.all(tunnels.map((tunnel) => tunnel.report))
  expect(ofA!.drops).toEqual({})
  expect(ofA!.events).toEqual([])
  expect(ofB!.events).toEqual(['tunDown', 'tunUp'])
  expect(await a.host.must('ip', ['link'])).not.toContain('static-a')
})
