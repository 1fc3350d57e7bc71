/**
 * The exit node dies, or is taken away, or is another now: nothing leaves the laptop uncovered, as its router sees it.
 * With `auto:any` another one takes over.
 */
import { Away, type AwayOptions } from '../away.ts'
import { eventually } from '../eventually.ts'
import type { Sheet } from '../measure-line.ts'

export interface ExitBlockOptions extends AwayOptions {
  /** How long nothing may leak; a minute unless a hurried developer says less. */
  readonly watchSeconds?: number
}

export async function exitBlock(sheet: Sheet, options: ExitBlockOptions): Promise<void> {
  const { watchSeconds = 60 } = options
  const away = await Away.open(options)
  const [first, second] = away.exits
  const kinds = `${options.client} client, ${options.exits.join(' and ')} exit nodes`
  const expect = (what: string, found: unknown, wanted: unknown): void =>
    sheet.add({
      case: `${kinds}: ${what}`,
      ours: String(found),
      stock: null,
      unit: '',
      must: String(wanted),
      ok: String(found) === String(wanted),
    })
  /** Programs that go on asking, as they do. */
  const busy = away.laptop.start('sh', [
    '-c',
    'while :; do curl -s -m 1 http://198.51.100.80/ >/dev/null; ping -n -c 1 -W 1 198.51.100.81 >/dev/null; sleep .1; done',
  ])
  try {
    await away.approveExits()
    await away.use(first)
    await eventually(
      'the exit node is in use',
      async () => ((await away.seenAs()) === first!.address ? true : undefined),
      {
        withinMs: 15_000,
      },
    )
    await away.leaked()
    await away.use(second)
    await eventually('the other one is', async () => ((await away.seenAs()) === second!.address ? true : undefined), {
      withinMs: 15_000,
    })
    expect('left uncovered while switching', await away.leaked(), '')
    await away.use(first)
    await first!.daemon.kill()
    await new Promise((resolve) => setTimeout(resolve, watchSeconds * 1000))
    expect(`left uncovered in ${watchSeconds} s without its exit node`, await away.leaked(), '')
    expect('and the site is out of reach', await away.seenAs(2), '')
    if (options.client === 'ours') {
      const status = await away.client.status()
      expect('health says so', (status.Health ?? []).join().includes('Nothing leaves'), true)
      await away.edit({ ExitNodeID: 'auto:any', ExitNodeIDSet: true, AutoExitNode: 'any', AutoExitNodeSet: true })
      const address = await eventually(
        'another takes over',
        async () => ((await away.seenAs()) === second!.address ? second!.address : undefined),
        { withinMs: 30_000 },
      )
      expect('asked to, another takes over', address, second!.address)
      expect('left uncovered meanwhile', await away.leaked(), '')
    }
  } finally {
    busy.kill('SIGKILL')
    await away.close()
  }
}
