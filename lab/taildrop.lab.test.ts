/** Files between our machines and stock ones, in both seats, each by its own command line. [docs/rules/taildrop.md] */
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { DropNetwork, digestOf, type Name, stopSending } from './drop-network.ts'
import { eventually } from './eventually.ts'

const hasStock = stockProgram('tailscaled') !== undefined
const pairs: readonly (readonly [from: Name, to: Name])[] = [
  ['ours', 'ours2'],
  ['ours', 'stock'],
  ['stock', 'ours'],
]
const BLOCK = 64 << 10
const SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1]

describe('Taildrop', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  const sources = join(folder, 'sources')
  let network: DropNetwork

  beforeAll(async () => {
    mkdirSync(sources)
    for (const size of SIZES) writeFileSync(join(sources, `${size} bytes.bin`), randomBytes(size))
    writeFileSync(join(sources, 'large'), randomBytes(64 << 20))
    writeFileSync(join(sources, 'medium'), randomBytes(3 << 20))
    network = await DropNetwork.open(folder, hasStock ? ['ours', 'ours2', 'stock'] : ['ours', 'ours2'])
  })
  afterAll(async () => {
    await network?.close()
    discard(folder)
  })
  const source = (name: string) => join(sources, name)

  for (const [from, to] of pairs) {
    describe.skipIf(!hasStock && (from === 'stock' || to === 'stock'))(`${from} to ${to}`, () => {
      test('[TD-3] [TD-8] 0 bytes, 1, around a block, 64 MiB; what arrives is what was sent', async () => {
        const names = [...SIZES.map((size) => `${size} bytes.bin`), 'large']
        const sent = await network.file(from, ['cp', ...names.map(source), `${to}:`])
        expect(sent).toEqual({ code: 0, stdout: '', stderr: '' })
        const inbox = network.inbox()
        const got = await network.file(to, ['get', '--verbose', inbox])
        expect([got.code, got.stdout.trim().split('\n').at(-1)]).toEqual([
          0,
          `moved ${names.length}/${names.length} files`,
        ])
        for (const name of names) expect(await digestOf(join(inbox, name)), name).toBe(await digestOf(source(name)))
      })

      test('[TD-4] [TD-8] cut in the middle: less than two blocks go again', async () => {
        const begun = network.startFile(
          from,
          ['cp', '--name=large', '-', `${to}:`],
          `(head -c 30000000 ${source('large')}; sleep 60)`,
        )
        await eventually(
          'most of the first half is there',
          () => (network.partBytes(to) > 20_000_000 ? true : undefined),
          { withinMs: 30_000 },
        )
        await stopSending(begun)
        const there = await settled(() => network.partBytes(to))
        const ours = network.daemon(from === 'stock' ? to : from)
        const before = offsets(ours.log)
        await eventually(
          'the receiver has let go of the old connection',
          async () => ((await network.file(from, ['cp', source('large'), `${to}:`])).code === 0 ? true : undefined),
          { withinMs: 30_000, everyMs: 500 },
        )
        const after = offsets(ours.log)
        expect(after.length).toBeGreaterThan(before.length)
        expect(there - (after.at(-1) ?? 0)).toBeLessThan(2 * BLOCK)
        expect(there).toBeGreaterThan(20_000_000)
        const inbox = network.inbox()
        expect((await network.file(to, ['get', inbox])).code).toBe(0)
        expect(await digestOf(join(inbox, 'large'))).toBe(await digestOf(source('large')))
      })
    })
  }

  test('[U4] file cp ./my-file.txt NAME: and file get .', async () => {
    writeFileSync(source('my-file.txt'), 'hello')
    const missing = await network.file('ours', ['cp', source('my-file.txt'), 'ours2'])
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining('must end in colon')])
    expect(await network.file('ours', ['cp', source('my-file.txt'), 'ours2:'])).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    })
    const inbox = network.inbox()
    const { host, socketPath } = network.daemon('ours2')
    const pintail = join(process.cwd(), 'src-cli', 'main.ts')
    const get = await host.run('sh', [
      '-c',
      'cd "$0" && exec "$@"',
      inbox,
      process.execPath,
      pintail,
      `--socket=${socketPath}`,
      'file',
      'get',
      '.',
    ])
    expect(get).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(readFileSync(join(inbox, 'my-file.txt'), 'utf8')).toBe('hello')
  })

  test.skipIf(!hasStock)('[TD-8] over the relay, both ways', async () => {
    await network.withoutUdp('ours', async () => {
      const address = await network.daemon('stock').address()
      const pong = await eventually(
        'a pong over the relay',
        async () => {
          const result = await network.daemon('ours').ping(address, 2_000)
          return result.DERPRegionID > 0 ? result : undefined
        },
        { withinMs: 20_000 },
      )
      expect(pong.DERPRegionCode).toBe('lab')
      for (const [from, to] of [
        ['ours', 'stock'],
        ['stock', 'ours'],
      ] as const) {
        const sent = await network.file(from, ['cp', source('medium'), `${to}:`])
        expect(sent.code, sent.stderr).toBe(0) // it may say that nobody replies while the path is changed
        const inbox = network.inbox()
        expect((await network.file(to, ['get', inbox])).code).toBe(0)
        expect(await digestOf(join(inbox, 'medium'))).toBe(await digestOf(source('medium')))
      }
    })
  })

  test('[TD-7] the receiver is killed in the middle and comes back: it goes on', async () => {
    const begun = network.startFile(
      'ours',
      ['cp', '--name=medium', '-', 'ours2:'],
      `(head -c 2000000 ${source('medium')}; sleep 60)`,
    )
    await eventually('a part', () => (network.partBytes('ours2') > 1_000_000 ? true : undefined), { withinMs: 20_000 })
    await network.daemon('ours2').kill()
    await stopSending(begun)
    const there = network.partBytes('ours2')
    await network.daemon('ours2').start()
    await eventually(
      'it is sent',
      async () => ((await network.file('ours', ['cp', source('medium'), 'ours2:'])).code === 0 ? true : undefined),
      { withinMs: 40_000, everyMs: 500 },
    )
    expect(there - (offsets(network.daemon('ours').log).at(-1) ?? 0)).toBeLessThan(2 * BLOCK)
    const inbox = network.inbox()
    expect((await network.file('ours2', ['get', inbox])).code).toBe(0)
    expect(await digestOf(join(inbox, 'medium'))).toBe(await digestOf(source('medium')))
  })
})

/** Where transfers went on, of those that succeeded, from our log: of the sender `resumedAt`, of the receiver `offset`. */
function offsets(log: string): number[] {
  return log.split('\n').flatMap((line) => {
    const text =
      /"event":"file-sent".*"status":200.*"resumedAt":(\d+)|"event":"file-received".*"result":"done".*"offset":(\d+)/.exec(
        line,
      )
    return text === null ? [] : [Number(text[1] ?? text[2])]
  })
}

/** A number that stays. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1; ; ) {
    const now = read()
    if (now === last) return now
    last = now
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}
