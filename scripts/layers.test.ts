import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'

// The arrows of docs/architecture.md are the `references` of each tsconfig.json. This asks the compiler, with one wrong
// import for each direction that must stay closed, in a project of its own that borrows the real one's settings.
const root = fileURLToPath(new URL('..', import.meta.url))
const made: string[] = []
afterAll(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true })
})

/** What the compiler says of `source` placed in `folder`, under that folder's own settings. */
function compile(folder: string, source: string): string {
  const settings = JSON.parse(readFileSync(join(root, folder, 'tsconfig.json'), 'utf8'))
  const up = folder.replace(/[^/]+/g, '..')
  const probe = join(root, folder, '.layer-probe')
  made.push(probe)
  mkdirSync(probe, { recursive: true })
  writeFileSync(join(probe, 'probe.ts'), source)
  writeFileSync(
    join(probe, 'tsconfig.json'),
    JSON.stringify({
      extends: '../tsconfig.json',
      compilerOptions: {
        ...settings.compilerOptions,
        rootDir: `../${up}`,
        outDir: './out',
        tsBuildInfoFile: './out/info',
      },
      include: ['./probe.ts'],
      references: settings.references.map(({ path }: { path: string }) => ({ path: `../${path}` })),
    }),
  )
  try {
    execFileSync(process.execPath, [join(root, 'node_modules/.bin/tsc'), '-p', join(probe, 'tsconfig.json')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  } finally {
    rmSync(probe, { recursive: true, force: true })
  }
}

test.each([
  ['src-contract', '../../src-protocol/wire/bytes.ts'],
  ['src-protocol/wire', '../../machines/backoff.ts'],
  ['src-protocol/machines', '../../../src-daemon/io/store/port.ts'],
  ['src-cli', '../../src-daemon/main.ts'],
  ['src-main', '../../src-daemon/main.ts'],
  ['src-renderer', '../../src-client/local-client.ts'],
  ['src-server', '../../src-daemon/main.ts'],
])('%s may not import %s', (folder, path) => {
  expect(compile(folder, `import * as wrong from '${path}'\nexport const kept = wrong\n`)).toMatch(/TS6307|TS6059/)
})

test.each(['src-contract', 'src-protocol/wire', 'src-protocol/machines'])(
  '%s has no sockets, timers or console',
  (folder) => {
    const said = compile(folder, `export const all = [setTimeout, console, Buffer, process]\nimport 'node:net'\n`)
    for (const name of ['setTimeout', 'console', 'Buffer', 'process']) expect(said).toContain(`'${name}'`)
    expect(said).toContain('node:net')
  },
)

test('every folder on the way has a project, and the root builds them all', () => {
  const references: { path: string }[] = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8')).references
  for (const { path } of references) expect(dirname(join(root, path, 'tsconfig.json'))).toBe(join(root, path))
  expect(references.length).toBeGreaterThan(10)
})
