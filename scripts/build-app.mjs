// Builds the desktop app into dist/: page, main process, preload, icons. Skipped when nothing it reads has changed.
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { node24, ourEnvironment, root, run } from './process.mjs'
import { step } from './say.mjs'

const sources = ['src-main', 'src-renderer', 'src-client', 'src-contract', 'assets']
const files = ['vite.config.ts', 'package-lock.json', 'scripts/build-app.mjs']
const dist = join(root, 'dist')

function fingerprint() {
  const hash = createHash('sha256')
  const add = (path) =>
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(join(root, path)))
      .update('\0')
  for (const folder of sources)
    for (const name of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.includes('.test.'))
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
      .sort())
      add(name)
  for (const name of files) add(name)
  return hash.digest('hex')
}

/** Answers the folder to start Electron on. */
export async function buildApp({ force = false } = {}) {
  const stamp = join(dist, '.app-built')
  const wanted = fingerprint()
  if (!force && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return root
  rmSync(stamp, { force: true })
  const vite = (mode) =>
    run(node24, [join(root, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--mode', mode, '--logLevel', 'warn'], {
      env: ourEnvironment({ NODE_ENV: 'production' }),
    })
  await step('build the app', async (progress) => {
    for (const mode of ['production', 'main', 'preload']) {
      progress(mode)
      await vite(mode)
    }
    rmSync(join(dist, 'assets'), { recursive: true, force: true })
    mkdirSync(join(dist, 'assets'), { recursive: true })
    for (const name of ['icon.png', 'tray'])
      cpSync(join(root, 'assets', name), join(dist, 'assets', name), { recursive: true })
  })
  writeFileSync(stamp, wanted)
  return root
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildApp({ force: process.argv.includes('--force') })
