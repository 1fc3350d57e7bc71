// Puts together what install.sh installs: daemon, command line and root helper as they are in this checkout, the few
// libraries they import, the native addon, and a Node of their own, so that nothing of the system's Node counts. Plain
// Node 20, no dependencies.
//
//   node packaging/make-tree.mjs FOLDER [--archive=FILE.tar.gz]
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(here)
const sources = ['src-contract', 'src-protocol', 'src-native', 'src-client', 'src-daemon', 'src-cli']
const texts = ['LICENSE', 'README.md', 'CHANGELOG.md', 'docs/operations.md', 'docs/cli.md']
const installer = ['install.sh', 'uninstall.sh', 'systemd', 'sysusers', 'polkit', 'default']

const folder = process.argv.slice(2).find((word) => !word.startsWith('--'))
const archive = process.argv.find((word) => word.startsWith('--archive='))?.slice('--archive='.length)
if (folder === undefined) fail('usage: make-tree.mjs FOLDER [--archive=FILE.tar.gz]')
const target = resolve(folder)
const lib = join(target, 'lib')

if (existsSync(target) && readdirSync(target).length > 0 && !existsSync(join(lib, 'package.json')))
  fail(`${target} is there and holds something else`)
const node = join(root, 'node_modules', 'node', 'bin', 'node')
const addon = join(root, 'build', 'native', 'pintail.node')
for (const path of [node, addon])
  if (!existsSync(path)) fail(`${path} is missing; run "npm start -- --check" or "npm run native" in ${root} first`)

rmSync(target, { recursive: true, force: true })
const files = sources.flatMap((name) => listed(join(root, name))).filter(isShipped)
for (const file of [...files, ...texts.map((name) => join(root, name)), addon])
  put(file, join(lib, file.slice(root.length)))
for (const name of libraries(files)) putLibrary(name)
put(node, join(lib, 'bin', 'node'))
chmodSync(join(lib, 'bin', 'node'), 0o755)
const { name, version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
writeFileSync(join(lib, 'package.json'), `${JSON.stringify({ name, version, license, type: 'module' }, null, 2)}\n`)
for (const part of installer) cpSync(join(here, part), join(target, part), { recursive: true })

if (archive !== undefined) {
  const words = [
    '--create',
    '--file',
    resolve(archive),
    '--use-compress-program=gzip -3',
    '--owner=0',
    '--group=0',
    '--sort=name',
  ]
  const { status, stderr } = spawnSync('tar', [...words, '-C', dirname(target), basename(target)], { encoding: 'utf8' })
  if (status !== 0) fail(`tar: ${stderr}`)
}

function isShipped(file) {
  if (/\.(test|lab|contract-suite)\.ts$|\.d\.ts$/.test(file)) return false
  return file.endsWith('.ts') && !/\/src-native\/(addon|fuzz|vectors)\//.test(file)
}

function listed(path) {
  if (!lstatSync(path).isDirectory()) return [path]
  return readdirSync(path).flatMap((name) => listed(join(path, name)))
}

/** Packages that the shipped sources import, and theirs. */
function libraries(from) {
  const names = new Set()
  const add = (name) => {
    if (names.has(name)) return
    names.add(name)
    const manifest = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'))
    for (const needed of Object.keys(manifest.dependencies ?? {})) add(needed)
  }
  const imported =
    /^(?:import|export)\s[^'"]*?from '((?:@[a-z0-9._-]+\/)?[a-z0-9][a-z0-9._-]*)(?:\/[^']*)?'|\bimport\('((?:@[a-z0-9._-]+\/)?[a-z0-9][a-z0-9._-]*)/gm
  for (const file of from)
    for (const [, named, lazily] of readFileSync(file, 'utf8').matchAll(imported)) add(named ?? lazily)
  return names
}

function putLibrary(name) {
  const filter = (path) =>
    !/\.(map|md|d\.[cm]?ts)$|\/(test|tests|docs|examples|src)$/.test(path) || /LICENSE/i.test(path)
  cpSync(join(root, 'node_modules', name), join(lib, 'node_modules', name), {
    recursive: true,
    dereference: true,
    filter,
  })
}

function put(from, to) {
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(from, to, constants.COPYFILE_FICLONE)
}

function fail(why) {
  console.error(`make-tree: ${why}`)
  process.exit(1)
}
