// Builds the native addon into build/native/pintail.node. Plain Node 20 ESM, so that it runs before anything else works.
//
// One g++ call instead of node-gyp: N-API needs four headers, which the npm package node-api-headers brings, so nothing
// is downloaded. Skipped when the sources, the flags and the compiler are those of the last build. Without a compiler it
// says what is missing and succeeds: the daemon then runs without an interface of its own and says so in its health.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const sourceFolder = join(root, 'src-native', 'addon')
const headers = join(root, 'node_modules', 'node-api-headers', 'include')
const outputFolder = join(root, 'build', 'native')
const output = join(outputFolder, 'pintail.node')
const stamp = join(outputFolder, 'pintail.stamp')

const flags = [
  '-std=c++20',
  '-O2',
  '-g1',
  '-fPIC',
  '-shared',
  '-pthread',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-Wshadow',
  '-Wconversion',
  '-Wno-sign-conversion',
  '-Werror',
  '-D_GNU_SOURCE',
  '-D_FORTIFY_SOURCE=2',
  '-DNAPI_VERSION=8',
  '-DNODE_GYP_MODULE_NAME=pintail',
  '-Wl,-z,relro,-z,now',
]

process.exitCode = main()

function main() {
  if (process.platform !== 'linux') return skip(`no native data path for ${process.platform} yet`)
  if (!existsSync(join(headers, 'node_api.h'))) {
    console.error('native: node_modules/node-api-headers is missing; run npm install first')
    return 1
  }
  const compiler = process.env.CXX ?? 'g++'
  const version = spawnSync(compiler, ['-dumpfullversion', '-dumpmachine'], { encoding: 'utf8' })
  if (version.status !== 0) {
    if (existsSync(output)) return skip('no C++ compiler; keeping the addon that is there')
    return skip('no C++ compiler, so no interface of our own. Install one: sudo apt-get install -y g++')
  }
  const sources = readdirSync(sourceFolder)
    .filter((name) => /\.(cpp|h)$/.test(name))
    .sort()
  const hash = createHash('sha256').update([compiler, version.stdout, ...flags].join('\n'))
  for (const name of sources) hash.update(name).update(readFileSync(join(sourceFolder, name)))
  const digest = hash.digest('hex')
  const force = process.argv.includes('--force')
  if (!force && existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) {
    console.log('native: up to date')
    return 0
  }
  mkdirSync(outputFolder, { recursive: true })
  const startedAt = Date.now()
  console.log(`native: compiling ${sources.filter((name) => name.endsWith('.cpp')).length} files`)
  // A new file renamed into place: a running daemon keeps the one it has mapped.
  const fresh = `${output}.${process.pid}`
  const inputs = sources.filter((name) => name.endsWith('.cpp')).map((name) => join(sourceFolder, name))
  const result = spawnSync(compiler, [...flags, '-I', headers, '-o', fresh, ...inputs], { stdio: 'inherit' })
  if (result.status !== 0) {
    rmSync(fresh, { force: true })
    console.error('native: the compiler failed')
    return 1
  }
  renameSync(fresh, output)
  writeFileSync(stamp, digest)
  console.log(`native: built in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
  return 0
}

function skip(reason) {
  console.log(`native: ${reason}`)
  return 0
}
