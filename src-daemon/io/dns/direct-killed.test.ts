/**
 * A daemon that is killed between any two steps of keeping resolv.conf: the real file system, which from a given call on
 * no longer answers the one who dies.
 */
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { directRootHelper } from '../root-helper/direct.ts'
import { DirectOsDns } from './direct.ts'

const life = vi.hoisted(() => ({
  calls: 0,
  endsAt: Number.POSITIVE_INFINITY,
  isMount: false,
  died: () => {},
  open: new Set<() => Promise<unknown>>(),
}))

vi.mock('node:fs/promises', async (importOriginal) => {
  type Call = (...args: unknown[]) => Promise<unknown>
  const real = (await importOriginal()) as Record<string, Call>
  const mortal =
    (call: Call, refuses?: (...args: unknown[]) => string | undefined): Call =>
    async (...args) => {
      if (++life.calls >= life.endsAt) {
        life.died()
        return new Promise(() => {})
      }
      const code = life.isMount ? refuses?.(...args) : undefined
      if (code !== undefined) throw Object.assign(new Error(code), { code })
      const result = await call(...args)
      return typeof result === 'object' && result !== null && 'fd' in result ? mortalFile(result as never) : result
    }
  // `close` is left out: what dies closes its files
  const mortalFile = (file: Record<string, Call>): Record<string, Call> => {
    const steps = ['writeFile', 'truncate', 'sync', 'chmod', 'stat'].map((name) => [
      name,
      mortal(file[name]!.bind(file)),
    ])
    const close: Call = () => {
      life.open.delete(close)
      return file.close!()
    }
    life.open.add(close)
    return { ...Object.fromEntries(steps), close }
  }
  const isTheFile = (path: unknown): boolean => String(path).endsWith('/resolv.conf')
  const refusals: Record<string, (...args: unknown[]) => string | undefined> = {
    rename: (from, to) => (isTheFile(from) || isTheFile(to) ? 'EBUSY' : undefined),
    link: () => 'EXDEV',
  }
  const mortals = Object.entries(real).filter(([, value]) => typeof value === 'function')
  return { ...real, ...Object.fromEntries(mortals.map(([name, call]) => [name, mortal(call, refusals[name])])) }
})

const original = Buffer.from('# caf\xe9, not UTF-8\nnameserver 192.0.2.53\noptions edns0', 'latin1')
const wants = (...searchDomains: string[]) => ({
  nameservers: ['100.100.100.100'] as never,
  searchDomains,
  matchDomains: [],
})
const places: Record<string, (path: string, folder: string) => void> = {
  'a file': (path) => writeFileSync(path, original, { mode: 0o640 }),
  'a mount': (path) => writeFileSync(path, original),
  'a longer mount': (path) => writeFileSync(path, `${'# long\n'.repeat(200)}nameserver 192.0.2.53\n`),
  'a short mount': (path) => writeFileSync(path, '# x\n'),
  'a link': (path, folder) => {
    writeFileSync(join(folder, 'elsewhere'), original)
    symlinkSync('elsewhere', path)
  },
  nothing: () => {},
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pt-killed-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function snapshot(): string[] {
  return readdirSync(folder).map((name) => {
    const path = join(folder, name)
    const { mode, nlink } = lstatSync(path)
    const isLink = lstatSync(path).isSymbolicLink()
    const content = isLink ? readlinkSync(path) : readFileSync(path, 'latin1')
    return `${name} ${mode.toString(8)} ${nlink} ${content}`
  })
}

/** How many calls a whole life makes. */
async function live(endsAt: number): Promise<number> {
  const ended = new Promise<void>((resolve) => Object.assign(life, { calls: 0, endsAt, died: resolve }))
  const dns = new DirectOsDns({ folder, root: directRootHelper({ folder }), why: 'test' })
  const all = async (): Promise<void> => {
    expect(await dns.apply(wants('tail.example'))).toEqual({ kind: 'applied' })
    await dns.apply(wants('tail.example', 'other.example'))
    await dns.close()
  }
  await Promise.race([all(), ended])
  const { calls } = life
  life.endsAt = Number.POSITIVE_INFINITY
  for (const close of life.open) await close()
  return calls
}

test.each(Object.keys(places))(
  '[DNS-12] %s: killed before any step, the next start finds the way back',
  async (place) => {
    life.isMount = place.endsWith('mount')
    places[place]!(join(folder, 'resolv.conf'), folder)
    const before = snapshot()
    const steps = await live(Number.POSITIVE_INFINITY)
    expect(snapshot()).toEqual(before)
    expect(steps).toBeGreaterThan(15)
    for (let at = 1; at <= steps; at++) {
      await live(at)
      expect(
        await new DirectOsDns({ folder, root: directRootHelper({ folder }), why: 'leftovers' }).apply(undefined),
      ).toEqual({ kind: 'applied' })
      expect(snapshot(), `killed before step ${at} of ${steps}`).toEqual(before)
    }
  },
)
