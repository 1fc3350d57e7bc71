import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { OsDnsConfig } from '../../../src-protocol/machines/resolver/os-plan.ts'
import { directRootHelper } from '../root-helper/direct.ts'
import { DirectOsDns } from './direct.ts'
import type { OsDnsTrouble } from './port.ts'

const desired: OsDnsConfig = {
  nameservers: ['100.100.100.100'] as never,
  searchDomains: ['tail.example', 'evil\nnameserver 6.6.6.6'],
  matchDomains: [],
}
const original = Buffer.from(
  '# caf\xe9, not UTF-8\nnameserver 192.0.2.53\nsearch corp.example\noptions edns0',
  'latin1',
)

let folder: string
let path: string
const open: DirectOsDns[] = []
const instance = (): DirectOsDns => {
  const made = new DirectOsDns({ folder, root: directRootHelper({ folder }), why: 'test' })
  open.push(made)
  return made
}
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pt-dns-'))
  path = join(folder, 'resolv.conf')
})
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
  rmSync(folder, { recursive: true })
})

describe('[DNS-12] a plain resolv.conf', () => {
  test('ours while we run, theirs afterwards: the very same file', async () => {
    writeFileSync(path, original, { mode: 0o640 })
    const before = statSync(path)
    const dns = instance()
    expect(await dns.apply(desired)).toEqual({ kind: 'applied' })
    const lines = readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => !line.startsWith('#'))
    expect(lines).toEqual(['', 'nameserver 100.100.100.100', 'search tail.example', ''])
    expect(statSync(path).mode & 0o777).toBe(0o644)
    expect(await dns.base()).toEqual({ nameservers: ['192.0.2.53'], searchDomains: ['corp.example'], matchDomains: [] })
    await dns.apply(desired)
    await dns.close()
    expect(readFileSync(path).equals(original)).toBe(true)
    const after = statSync(path)
    expect([after.ino, after.mode, after.mtimeMs]).toEqual([before.ino, before.mode, before.mtimeMs])
    expect(readdirSync(folder)).toEqual(['resolv.conf'])
  })

  test('a second apply of the same writes nothing', async () => {
    writeFileSync(path, original)
    const dns = instance()
    await dns.apply(desired)
    const { ino, mtimeMs } = statSync(path)
    await dns.apply(desired)
    expect([statSync(path).ino, statSync(path).mtimeMs]).toEqual([ino, mtimeMs])
  })

  test('a symbolic link stays one, also one that leads nowhere', async () => {
    for (const target of ['real.conf', 'nowhere/at/all']) {
      rmSync(path, { force: true })
      writeFileSync(join(folder, 'real.conf'), original)
      symlinkSync(target, path)
      const dns = instance()
      await dns.apply(desired)
      expect(lstatSync(path).isSymbolicLink()).toBe(false)
      expect(readFileSync(join(folder, 'real.conf')).equals(original)).toBe(true)
      await dns.close()
      expect(readlinkSync(path)).toBe(target)
    }
    expect(readdirSync(folder).sort()).toEqual(['real.conf', 'resolv.conf'])
  })

  test('no file before: none afterwards', async () => {
    const dns = instance()
    await dns.apply(desired)
    expect(readFileSync(path, 'utf8')).toContain('100.100.100.100')
    await dns.close()
    expect(readdirSync(folder)).toEqual([])
  })

  test('whoever was killed: the next one finds the original', async () => {
    writeFileSync(path, original)
    await instance().apply(desired) // never closed before the next
    const next = instance()
    expect(await next.base()).toMatchObject({ nameservers: ['192.0.2.53'] })
    await next.apply({ ...desired, searchDomains: [] }) // no restore in between
    await next.close()
    expect(readFileSync(path).equals(original)).toBe(true)
    expect(readdirSync(folder)).toEqual(['resolv.conf'])
  })

  test('killed between any two steps', async () => {
    writeFileSync(path, original)
    writeFileSync(join(folder, 'resolv.pre-pintail-backup.conf'), original) // kept, but ours not written yet
    writeFileSync(join(folder, 'resolv.conf.pintail.new'), 'half a fi')
    writeFileSync(join(folder, 'resolv.pre-pintail-backup.conf.pintail.new'), 'half')
    await instance().apply(undefined)
    expect(readFileSync(path).equals(original)).toBe(true)
    expect(readdirSync(folder)).toEqual(['resolv.conf'])
  })

  test('what another program wrote meanwhile is left to it', async () => {
    writeFileSync(path, original)
    await instance().apply(desired)
    rmSync(path)
    writeFileSync(path, 'nameserver 192.0.2.99\n')
    await new DirectOsDns({ folder, root: directRootHelper({ folder }), why: 'next' }).apply(undefined)
    expect(readFileSync(path, 'utf8')).toBe('nameserver 192.0.2.99\n')
    expect(readdirSync(folder)).toEqual(['resolv.conf'])
  })
})

describe('[DNS-13] others write it as well', () => {
  async function until(isTrue: () => boolean): Promise<void> {
    for (let tries = 0; !isTrue(); tries++) {
      if (tries > 400) throw new Error('it did not happen within 10 s')
      await sleep(25)
    }
  }
  test('news of the network become the original; a fight is given up and told', async () => {
    writeFileSync(path, original)
    const dns = instance()
    const troubles: (OsDnsTrouble | undefined)[] = []
    let bases = 0
    dns.listen({ onTrouble: (trouble) => troubles.push(trouble), onBaseChange: () => bases++ })
    await dns.apply(desired)
    for (let round = 1; round <= 3; round++) {
      writeFileSync(path, `# by dhclient\nnameserver 192.0.2.${round}\n`)
      await until(() => bases === round)
      expect(readFileSync(path, 'utf8')).toContain('nameserver 100.100.100.100')
      expect(await dns.base()).toMatchObject({ nameservers: [`192.0.2.${round}`] })
    }
    expect(troubles).toEqual([{ kind: 'overwritten', detail: 'by dhclient' }])
    writeFileSync(path, '# by dhclient\nnameserver 192.0.2.4\n')
    await until(() => troubles.length === 2)
    expect(troubles[1]).toEqual({ kind: 'fight', detail: 'by dhclient' })
    await dns.close()
    expect(readFileSync(path, 'utf8')).toBe('# by dhclient\nnameserver 192.0.2.4\n')
  })
})
