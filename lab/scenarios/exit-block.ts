/**
 * The exit node dies, or is taken away, or is another now: nothing leaves the laptop uncovered, as its router sees it.
 * With `auto:any` another one takes over.
 */
import { Away, type AwayOptions, SITE } from '../away.ts'
import { checksOn } from '../checks.ts'
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
  const checks = checksOn(sheet, `${options.client} client, ${options.exits.join(' and ')} exit nodes`)
  const busy = away.keepAsking()
  try {
    await away.approveExits()
    const seen = await eventually(
      'the witness sees what leaves uncovered',
      async () => (await away.leaked()).some((flow) => flow.startsWith(`${SITE} `)) || undefined,
      { withinMs: 10_000 },
    )
    checks.is('without an exit node the router sees it leave', seen, true)
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
    checks.is('left uncovered while switching', await away.leaked(), '')
    await away.use(first)
    await first!.daemon.kill()
    await new Promise((resolve) => setTimeout(resolve, watchSeconds * 1000))
    checks.is(`left uncovered in ${watchSeconds} s without its exit node`, await away.leaked(), '')
    checks.is('and the site is out of reach', await away.seenAs(2), '')
    if (options.client === 'ours') {
      await away.client.kill()
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      await away.client.start()
      checks.is('left uncovered while its own daemon is killed and starts again', await away.leaked(), '')
      const told = await eventually(
        'health says so',
        async () => ((await away.client.status()).Health ?? []).join().includes('Nothing leaves') || undefined,
        { withinMs: 10_000 },
      )
      checks.is('health says so', told, true)
      // into the tunnel where nobody takes it, or still by the route that the killed daemon left
      const explained = (await away.explained(SITE)).replace(/^blocked: (pintail0)? 52$/, 'blocked')
      checks.is('and so does the explanation', explained, 'blocked')
      await away.edit({ ExitNodeID: 'auto:any', ExitNodeIDSet: true, AutoExitNode: 'any', AutoExitNodeSet: true })
      const address = await eventually(
        'another takes over',
        async () => ((await away.seenAs()) === second!.address ? second!.address : undefined),
        { withinMs: 30_000 },
      )
      checks.is('asked to, another takes over', address, second!.address)
      checks.is('left uncovered meanwhile', await away.leaked(), '')
      if (watchSeconds < 60) return
      await first!.daemon.start()
      await second!.daemon.kill()
      const back = await untilSeen(away, first!.address)
      checks.is('the second one dies, the first takes over by itself', back, first!.address)
      checks.is('left uncovered meanwhile, again', await away.leaked(), '')
    }
  } finally {
    busy.kill('SIGKILL')
    await away.close()
  }
}

const untilSeen = (away: Away, who: string): Promise<string> =>
  eventually(`the site sees ${who}`, async () => ((await away.seenAs(2)) === who ? who : undefined), {
    withinMs: 60_000,
  }).catch(() => away.seenAs(2))
