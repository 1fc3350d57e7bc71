/** What is packaged: units by systemd's own judgement, and install.sh and uninstall.sh into a folder. [docs/rules/privilege.md] */
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addonMissing } from '../src-native/os-calls.ts'

const packaging = join(import.meta.dirname, '..', 'packaging')
const units = ['pintaild.service', 'pintail-root.service'] as const
const analyze = ['/usr/bin/systemd-analyze', '/bin/systemd-analyze'].find((path) => existsSync(path))

function run(program: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env: {}, timeout: 60_000 })
  return { status, stdout, stderr }
}

/** Path → what it is, for comparing trees. */
function treeOf(folder: string, below = ''): Record<string, string> {
  return Object.fromEntries(
    readdirSync(join(folder, below)).flatMap((name) => {
      const path = join(below, name)
      const info = lstatSync(join(folder, path))
      const mode = info.mode.toString(8)
      if (info.isDirectory()) return [[path, mode], ...Object.entries(treeOf(folder, path))]
      return [[path, `${mode} ${info.size} ${info.size < 100_000 ? readFileSync(join(folder, path), 'base64') : ''}`]]
    }),
  )
}

const folder = mkdtempSync(join(tmpdir(), 'pt-pack-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe.skipIf(analyze === undefined)(`units${analyze === undefined ? ' (no systemd-analyze)' : ''}`, () => {
  test.each(units)('[PV-5] %s is exposed 2.5 at most', (unit) => {
    const path = join(folder, unit)
    writeFileSync(path, readFileSync(join(packaging, 'systemd', unit), 'utf8').replaceAll('@LIB@', '/usr/lib/pintail'))
    const { status, stdout } = run(analyze!, 'security', '--no-pager', '--offline=true', '--threshold=25', path)
    expect(stdout.trim().split('\n').at(-1)).toMatch(/Overall exposure level for .*: [012]\.\d/)
    expect(status).toBe(0)
  })
})

describe.skipIf(addonMissing() !== undefined)('installed into a folder', () => {
  const tree = join(folder, 'tree')
  const destdir = join(folder, 'root with a space')
  const lib = join(destdir, 'usr/local/lib/pintail')
  const install = (...args: string[]) => run('/bin/sh', join(tree, 'install.sh'), `--destdir=${destdir}`, ...args)
  const uninstall = (...args: string[]) => run('/bin/sh', join(tree, 'uninstall.sh'), `--destdir=${destdir}`, ...args)

  beforeAll(() => {
    expect(run(process.execPath, join(packaging, 'make-tree.mjs'), tree)).toMatchObject({ status: 0, stderr: '' })
  })

  test('[PV-7] a dry run says each step and changes nothing', () => {
    const result = install('--dry-run')
    expect(result).toMatchObject({ status: 0, stderr: '' })
    expect(result.stdout).toContain('would run: mv')
    expect(existsSync(destdir)).toBe(false)
  })

  test('[PV-7] [U1] installed twice is installed once; the programs run; only their owner may change them', () => {
    expect(install()).toMatchObject({ status: 0, stderr: '' })
    const first = treeOf(destdir)
    expect(install()).toMatchObject({ status: 0, stderr: '' })
    expect(treeOf(destdir)).toEqual(first)
    const others = Object.entries(first).filter(([, is]) => (Number.parseInt(is.split(' ')[0]!, 8) & 0o022) !== 0)
    expect(others).toEqual([])
    for (const [main, said] of [
      ['src-daemon/main.ts', /^\d+\.\d+\.\d+-pintail\n$/],
      ['src-cli/main.ts', /^\d+\.\d+\.\d+/],
    ] as const) {
      const result = run(join(lib, 'bin/node'), '--disable-proto=delete', join(lib, main), '--version')
      expect(result.stderr).toBe('')
      expect(result.stdout).toMatch(said)
    }
    expect(run(join(lib, 'bin/node'), join(lib, 'src-daemon/root-helper-main.ts'), '--help').status).toBe(0)
  })

  test.skipIf(analyze === undefined)('[PV-5] systemd understands every line of the units', () => {
    const paths = [...units, 'pintail-root.socket'].map((unit) => {
      const path = join(folder, unit)
      const text = readFileSync(join(destdir, 'etc/systemd/system', unit), 'utf8')
      writeFileSync(path, text.replaceAll('/usr/local/lib/pintail', join(tree, 'lib')))
      return path
    })
    const { stderr } = run(analyze!, 'verify', '--man=no', ...paths)
    expect(
      stderr.split('\n').filter((line) => /pintail/.test(line) && !/Failed to (create|connect)/.test(line)),
    ).toEqual([])
  })

  test('[PV-7] files that a later version does not have go when it comes', () => {
    const stale = 'usr/local/bin/pintail-of-old'
    writeFileSync(join(destdir, stale), '')
    appendFileSync(join(lib, 'manifest'), `file /${stale}\n`)
    expect(install().status).toBe(0)
    expect(existsSync(join(destdir, stale))).toBe(false)
  })

  test('[PV-7] uninstalled, what was changed by hand stays; with --purge nothing does', () => {
    const setting = join(destdir, 'etc/default/pintaild')
    const foreign = join(destdir, 'usr/local/bin/somebody-elses')
    appendFileSync(setting, 'PORT="38892"\n')
    writeFileSync(foreign, '')
    expect(install().status).toBe(0)
    expect(readFileSync(setting, 'utf8')).toContain('38892')
    expect(uninstall()).toMatchObject({ status: 0, stderr: '' })
    const files = Object.entries(treeOf(destdir)).filter(([, is]) => !is.startsWith('4'))
    expect(files.map(([path]) => path)).toEqual(['etc/default/pintaild', 'usr/local/bin/somebody-elses'])
    rmSync(foreign)
    expect(install().status).toBe(0)
    expect(uninstall('--purge')).toMatchObject({ status: 0, stderr: '' })
    expect(treeOf(destdir)).toMatchObject({})
    expect(Object.values(treeOf(destdir)).filter((is) => !is.startsWith('4'))).toEqual([])
    expect(uninstall()).toMatchObject({ status: 1, stderr: expect.stringContaining('nothing is installed') })
  })

  test('[PV-7] a package: everything below /usr, and nothing remains of it either', () => {
    const other = join(folder, 'package')
    mkdirSync(other)
    const words = [`--destdir=${other}`, '--prefix=/usr']
    expect(run('/bin/sh', join(tree, 'install.sh'), ...words)).toMatchObject({ status: 0, stderr: '' })
    const unit = readFileSync(join(other, 'usr/lib/systemd/system/pintaild.service'), 'utf8')
    expect(unit).toContain('ExecStart=/usr/lib/pintail/bin/node ')
    expect(unit).not.toContain('@LIB')
    expect(run('/bin/sh', join(other, 'usr/lib/pintail/uninstall.sh'), `--destdir=${other}`).status).toBe(0)
    expect(readdirSync(other)).toEqual([])
  })

  test.each(['relative', '/', '', '/usr/../etc', '/usr#x', '/usr/$(reboot)', "/u'sr", '/a b', '/a//b', '/a\n/b'])(
    '[PV-7] a prefix that could be more than a folder is refused: %j',
    (prefix) => {
      const result = run('/bin/sh', join(tree, 'install.sh'), `--destdir=${destdir}`, `--prefix=${prefix}`)
      expect(result).toMatchObject({ status: 1, stderr: expect.stringContaining('plain absolute folder') })
    },
  )
})
