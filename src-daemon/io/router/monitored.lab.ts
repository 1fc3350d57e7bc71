/** Lab tests: what the kernel says that changed in its network settings while something ran. */
import { type ChildProcess, spawn } from 'node:child_process'
import { eventually } from '../../../lab/eventually.ts'

/** Lines of `ip monitor` and `nft monitor`; neighbours and what the kernel does by itself are left out. */
export async function changesDuring(work: () => Promise<unknown>): Promise<string[]> {
  const monitors = [
    spawn('ip', ['monitor', 'link', 'address', 'route', 'rule'], { stdio: ['ignore', 'pipe', 'ignore'] }),
    spawn('nft', ['monitor'], { stdio: ['ignore', 'pipe', 'ignore'] }),
  ]
  const told = monitors.map(() => '')
  monitors.forEach((monitor, at) => {
    monitor.stdout?.setEncoding('utf8').on('data', (text: string) => {
      told[at] += text
    })
  })
  try {
    await marker(told, 'begin')
    const from = told.map(({ length }) => length)
    await work()
    await marker(told, 'end')
    return told
      .flatMap((text, at) => text.slice(from[at]).split('\n'))
      .filter((line) => line.trim() !== '' && !/4242|marker|^# new generation/.test(line))
  } finally {
    await Promise.all(monitors.map(end))
  }
}

/** A change of our own that both monitors must tell: what came before it has been told, too. */
async function marker(told: readonly string[], word: string): Promise<void> {
  const run = (program: string, ...args: string[]): Promise<unknown> =>
    new Promise((resolve) => spawn(program, args, { stdio: 'ignore' }).once('close', resolve))
  const from = told.map(({ length }) => length)
  await eventually(
    `both monitors tell the marker "${word}"`,
    async () => {
      await run('ip', 'route', 'replace', 'throw', '192.0.2.1/32', 'table', '4242')
      await run('ip', 'route', 'del', 'throw', '192.0.2.1/32', 'table', '4242')
      await run('nft', 'add', 'table', 'inet', 'marker')
      await run('nft', 'delete', 'table', 'inet', 'marker')
      await new Promise((resolve) => setTimeout(resolve, 50))
      return told.every((text, at) => /4242|marker/.test(text.slice(from[at])) && text.endsWith('\n')) || undefined
    },
    { withinMs: 10_000 },
  )
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('close', () => resolve())
    child.kill()
  })
}
