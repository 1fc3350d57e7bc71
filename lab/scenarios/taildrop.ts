/** Large and many files between our machines and stock ones: 3 GiB of a sparse source, 10 000 small ones; memory stays. */
import { mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checksOn } from '../checks.ts'
import { stockProgram } from '../daemon.ts'
import { DropNetwork, digestOf, type Name } from '../drop-network.ts'
import type { Sheet } from '../measure-line.ts'

const LARGE_BYTES = 3 * 2 ** 30
const MANY = 10_000
/** So many on one command line. */
const AT_ONCE = 1_000
const MAX_GROWTH_MIB = 64

export async function taildropLarge(
  sheet: Sheet,
  { folder, quick, progress }: { folder: string; quick: boolean; progress: (text: string) => void },
): Promise<void> {
  const pairs: (readonly [Name, Name])[] = [['ours', 'ours2']]
  if (stockProgram('tailscaled') !== undefined) pairs.push(['ours', 'stock'], ['stock', 'ours'])
  const largeBytes = quick ? LARGE_BYTES / 16 : LARGE_BYTES
  const count = quick ? MANY / 20 : MANY
  mkdirSync(folder, { recursive: true })
  const sources = join(folder, 'sources')
  mkdirSync(sources)
  const large = join(sources, 'large')
  writeFileSync(large, '')
  truncateSync(large, largeBytes)
  const small = Array.from({ length: count }, (_, i) => join(sources, `small-${i}`))
  small.forEach((path, i) => {
    writeFileSync(path, `${i}`)
  })
  const network = await DropNetwork.open(folder, [...new Set(pairs.flat())])
  try {
    const wanted = await digestOf(large)
    for (const [from, to] of pairs) {
      progress(`${from} to ${to}`)
      const checks = checksOn(sheet, `${from} to ${to}`)
      await network.file(from, ['cp', small[0]!, `${to}:`])
      await network.file(to, ['get', '/dev/null'])
      const before = network.residentMiB(from, to)
      const sent = await network.file(from, ['cp', large, `${to}:`], { timeoutMs: 600_000 })
      checks.is('3 GiB are sent', sent.stderr || sent.code, 0)
      const growth = network.residentMiB(from, to) - before
      const isOurs = from.startsWith('ours') && to.startsWith('ours')
      checks.is('memory stays', !isOurs || growth < MAX_GROWTH_MIB ? 'yes' : `${growth.toFixed(0)} MiB more`, 'yes')
      const inbox = network.inbox()
      checks.is('and fetched', (await network.file(to, ['get', inbox], { timeoutMs: 600_000 })).code, 0)
      checks.is('as they were', await digestOf(join(inbox, 'large')), wanted)
      rmSync(join(inbox, 'large'))
      for (let at = 0; at < small.length; at += AT_ONCE) {
        const { code, stderr } = await network.file(from, ['cp', ...small.slice(at, at + AT_ONCE), `${to}:`], {
          timeoutMs: 600_000,
        })
        if (code !== 0) checks.is('many are sent', stderr, '')
      }
      await network.file(to, ['get', inbox], { timeoutMs: 600_000 })
      checks.is(`${count} small ones arrive`, readdirSync(inbox).length, count)
      rmSync(inbox, { recursive: true })
    }
  } finally {
    await network.close()
    rmSync(sources, { recursive: true })
  }
}
