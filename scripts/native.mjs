// Builds the native addon into build/native/pintail.node. Plain Node 20 ESM, so that it runs before anything else works.
//
//   node scripts/native.mjs [--force] [--sanitize=address|thread]
//
// g++ alone instead of node-gyp: N-API needs four headers, which the npm package node-api-headers brings, so nothing
// is downloaded. Each source becomes an object once, kept until it, a header, the flags or the compiler change. Without a
// compiler it says what is missing and succeeds: the daemon then runs without an interface of its own and says so in its
// health. A sanitized addon goes to build/native-address or build/native-thread (`sanitize.mjs` runs tests with it).
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const sourceFolder = join(root, 'src-native', 'addon')
const headers = join(root, 'node_modules', 'node-api-headers', 'include')

const compileFlags = [
  '-std=c++20',
  '-O2',
  '-g1',
  '-fPIC',
  '-pthread',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-Wshadow',
  '-Wconversion',
  '-Wno-sign-conversion',
  '-Werror',
  '-D_GNU_SOURCE',
  '-DNAPI_VERSION=8',
  '-DNODE_GYP_MODULE_NAME=pintail',
]
const linkFlags = ['-shared', '-pthread', '-Wl,-z,relro,-z,now']

const sanitizers = {
  address: ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'],
  thread: ['-fsanitize=thread'],
}

process.exitCode = await main()

async function main() {
  if (process.platform !== 'linux') return skip(`no native data path for ${process.platform} yet`)
  if (!existsSync(join(headers, 'node_api.h'))) {
    console.error('native: node_modules/node-api-headers is missing; run npm install first')
    return 1
  }
  const sanitize = process.argv.find((word) => word.startsWith('--sanitize='))?.slice('--sanitize='.length)
  if (sanitize !== undefined && sanitizers[sanitize] === undefined) {
    console.error('native: --sanitize takes address or thread')
    return 2
  }
  const outputFolder = join(root, 'build', sanitize === undefined ? 'native' : `native-${sanitize}`)
  const output = join(outputFolder, 'pintail.node')
  const stamp = join(outputFolder, 'pintail.stamp')

  const compiler = process.env.CXX ?? 'g++'
  const version = spawnSync(compiler, ['-dumpfullversion', '-dumpmachine'], { encoding: 'utf8' })
  if (version.status !== 0) {
    if (existsSync(output)) return skip('no C++ compiler; keeping the addon that is there')
    return skip('no C++ compiler, so no interface of our own. Install one: sudo apt-get install -y g++')
  }
  const extra = sanitize === undefined ? ['-D_FORTIFY_SOURCE=2'] : [...sanitizers[sanitize], '-fno-omit-frame-pointer']
  const files = readdirSync(sourceFolder, { recursive: true })
    .filter((name) => /\.(cpp|h)$/.test(name))
    .sort()
  const common = createHash('sha256').update([compiler, version.stdout, ...compileFlags, ...extra].join('\n'))
  for (const name of files) if (name.endsWith('.h')) common.update(name).update(readFileSync(join(sourceFolder, name)))
  const base = common.digest('hex')

  const objectFolder = join(outputFolder, 'objects')
  const objects = files
    .filter((name) => name.endsWith('.cpp'))
    .map((name) => {
      const source = join(sourceFolder, name)
      const digest = createHash('sha256')
        .update(base)
        .update(name)
        .update(readFileSync(source))
        .digest('hex')
        .slice(0, 24)
      return {
        name,
        source,
        object: join(objectFolder, `${name.replaceAll('/', '-').replace(/\.cpp$/, '')}-${digest}.o`),
      }
    })
  const digest = createHash('sha256')
    .update([...linkFlags, ...objects.map(({ object }) => object)].join('\n'))
    .digest('hex')
  const force = process.argv.includes('--force')
  if (!force && existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) {
    console.log('native: up to date')
    return 0
  }

  mkdirSync(objectFolder, { recursive: true })
  const startedAt = Date.now()
  const missing = objects.filter(({ object }) => force || !existsSync(object))
  console.log(`native: compiling ${missing.length} of ${objects.length} files`)
  const flags = [...compileFlags, ...extra, '-I', headers]
  const compiled = await inParallel(missing, ({ source, object }) =>
    viaTemporary(compiler, [...flags, '-c', source], object),
  )
  const allFlags = [...linkFlags, ...(sanitize === undefined ? [] : sanitizers[sanitize])]
  const linked =
    compiled && (await viaTemporary(compiler, [...allFlags, ...objects.map(({ object }) => object)], output))
  if (!linked) {
    console.error('native: the compiler failed')
    return 1
  }
  writeFileSync(stamp, digest)
  const wanted = new Set(objects.map(({ object }) => object))
  for (const name of readdirSync(objectFolder)) {
    const path = join(objectFolder, name)
    if (!wanted.has(path) && name.endsWith('.o')) rmSync(path, { force: true })
  }
  console.log(`native: built in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
  return 0
}

/** A new file renamed into place: nobody sees half of one, and a running daemon keeps the addon it has mapped. */
async function viaTemporary(compiler, words, output) {
  const fresh = `${output}.${process.pid}`
  const child = spawn(compiler, [...words, '-o', fresh], { stdio: 'inherit' })
  const status = await new Promise((resolve) => child.once('close', resolve))
  if (status === 0) renameSync(fresh, output)
  else rmSync(fresh, { force: true })
  return status === 0
}

async function inParallel(items, work) {
  const queue = [...items]
  let isGood = true
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined && isGood; item = queue.shift())
      isGood = (await work(item)) && isGood
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return isGood
}

function skip(reason) {
  console.log(`native: ${reason}`)
  return 0
}
