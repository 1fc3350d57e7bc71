// Fuzzes the native parsers: each file src-native/fuzz/TARGET.cpp with libFuzzer, AddressSanitizer and
// UndefinedBehaviorSanitizer (clang). Starts from the corpus in the repository; what is found on top stays in build/fuzz.
//
//   node scripts/fuzz.mjs [--seconds=60] [TARGET …]
//   node scripts/fuzz.mjs --input=FILE TARGET       runs one input again, such as one that failed
//   node scripts/fuzz.mjs --minimise [TARGET …]     makes the corpus in the repository anew, as small as it can be
//
// Ends with "N passed, M failed, K skipped". `npm test` runs it: a minute for each target under CI, else a few seconds.
// Without clang it says so and succeeds. Plain Node 20.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hasCommand, root } from './process.mjs'
import { note } from './say.mjs'

const sources = join(root, 'src-native', 'fuzz')
const addon = join(root, 'src-native', 'addon')
const output = join(root, 'build', 'fuzz')
const CORPUS_BYTES = 24 << 10 // of one target

/** What a target is linked with besides: the system calls it answers by itself. */
const wraps = { coalesce: ['writev'], receiver: ['recvmmsg'] }

const flags = ['-std=c++20', '-O1', '-g', '-fno-omit-frame-pointer', '-Wall', '-Wextra', '-D_GNU_SOURCE', '-pthread']
const watching = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']

const words = process.argv.slice(2)
const option = (name) => words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3)
const has = (name) => words.includes(`--${name}`)
const isCi = (process.env.CI ?? '') !== '' && process.env.CI !== 'false'
const seconds = Number(option('seconds') ?? (isCi ? 60 : 5))

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main()

async function main() {
  const all = readdirSync(sources)
    .filter((name) => name.endsWith('.cpp'))
    .map((name) => name.slice(0, -4))
  const wanted = words.filter((word) => !word.startsWith('-'))
  const stranger = wanted.find((name) => !all.includes(name))
  if (stranger !== undefined || !(seconds > 0)) {
    console.error(`fuzz: there is no target "${stranger}"; there are: ${all.join(' ')}`)
    return 2
  }
  const targets = wanted.length > 0 ? wanted : all
  const compiler = fuzzCompiler()
  if (compiler === undefined) {
    note(`skipped: fuzzing ${targets.join(', ')}: no clang with libFuzzer (apt-get install clang libclang-rt-dev)`)
    console.log(`0 passed, 0 failed, ${targets.length} skipped`)
    return 0
  }
  if (!(await build(compiler, targets))) {
    console.error('fuzz: the compiler failed')
    console.log(`0 passed, ${targets.length} failed, 0 skipped`)
    return 1
  }
  const input = option('input')
  if (input !== undefined) return (await runTarget(targets[0], [input])).code === 0 ? 0 : 1
  if (has('minimise')) {
    for (const target of targets) await minimise(target)
    return 0
  }
  const failed = []
  await inParallel(targets, async (target) => {
    if (!(await fuzz(target))) failed.push(target)
  })
  console.log(`${targets.length - failed.length} passed, ${failed.length} failed, 0 skipped`)
  return failed.length === 0 ? 0 : 1
}

/** The first clang that can link a fuzz target. */
export function fuzzCompiler() {
  const names = ['clang++', ...Array.from({ length: 10 }, (_, i) => `clang++-${22 - i}`)]
  mkdirSync(output, { recursive: true })
  const probe = join(output, 'probe.cc')
  writeFileSync(probe, 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }\n')
  return names.find(
    (name) =>
      hasCommand(name) &&
      spawnSync(name, ['-fsanitize=fuzzer', ...watching, probe, '-o', join(output, 'probe')]).status === 0,
  )
}

async function build(compiler, targets) {
  const files = readdirSync(addon, { recursive: true }).sort()
  // All of the addon that knows nothing of Node.
  const isCode = (name) =>
    name.endsWith('.cpp') && !/(glue|node_api|binding)\.h"/.test(readFileSync(join(addon, name), 'utf8'))
  const base = createHash('sha256').update([compiler, ...flags, ...watching].join('\n'))
  for (const name of files) if (name.endsWith('.h')) base.update(name).update(readFileSync(join(addon, name)))
  for (const name of readdirSync(sources)) if (name.endsWith('.h')) base.update(readFileSync(join(sources, name)))
  const digest = base.digest('hex')
  const toObject = (source, name) => {
    const text = readFileSync(source, 'utf8')
    const own = createHash('sha256').update(digest).update(text)
    for (const [, other] of text.matchAll(/#include "(.*\.cpp)"/g)) own.update(readFileSync(join(sources, other)))
    return {
      source,
      object: join(output, 'objects', `${name.replaceAll('/', '-')}-${own.digest('hex').slice(0, 24)}.o`),
    }
  }
  const shared = files.filter(isCode).map((name) => toObject(join(addon, name), name))
  const own = targets.map((target) => toObject(join(sources, `${target}.cpp`), `fuzz-${target}`))
  const missing = [...shared, ...own].filter(({ object }) => !existsSync(object))
  mkdirSync(join(output, 'objects'), { recursive: true })
  if (missing.length > 0) console.log(`fuzz: compiling ${missing.length} files with ${compiler}`)
  let isGood = true
  await inParallel(missing, async ({ source, object }) => {
    const made = await command(compiler, [
      ...flags,
      ...watching,
      '-fsanitize=fuzzer-no-link',
      '-c',
      source,
      '-o',
      object,
    ])
    if (made !== 0) rmSync(object, { force: true })
    isGood &&= made === 0
  })
  await inParallel(isGood ? targets : [], async (target) => {
    const objects = [...shared, own[targets.indexOf(target)]].map(({ object }) => object)
    const wrap = (wraps[target] ?? []).map((name) => `-Wl,--wrap=${name}`)
    const link = ['-fsanitize=fuzzer', ...watching, '-pthread', ...wrap, ...objects, '-ldl', '-o', join(output, target)]
    isGood = (await command(compiler, link)) === 0 && isGood
  })
  return isGood
}

async function fuzz(target) {
  const live = join(output, 'corpus', target)
  const failures = join(output, 'failures')
  const corpus = join(sources, 'corpus', target)
  for (const folder of [live, failures, corpus]) mkdirSync(folder, { recursive: true })
  const prefix = `${join(failures, target)}-`
  const { code, text } = await runTarget(target, [
    `-max_total_time=${seconds}`,
    `-artifact_prefix=${prefix}`,
    '-timeout=60', // by the wall's clock: a machine that stands still for a moment is no finding
    '-rss_limit_mb=2048',
    '-max_len=4096',
    '-use_value_profile=1',
    '-print_final_stats=1',
    '-verbosity=1',
    live,
    corpus,
  ])
  const runs = /stat::number_of_executed_units:\s*(\d+)/.exec(text)?.[1]
  const covered = [...text.matchAll(/cov: (\d+)/g)].at(-1)?.[1]
  if (code === 0 && Number(runs) > 0) {
    console.log(`fuzz: ${target}: ${runs} inputs, ${covered} edges, nothing found`)
    return true
  }
  console.error(text.split('\n').slice(-80).join('\n'))
  const saved = /Test unit written to (\S+)/.exec(text)?.[1]
  console.error(`FAILED  fuzz: ${target}: ${/^SUMMARY: .*$/m.exec(text)?.[0] ?? `status ${code}, ${runs} inputs`}`)
  if (saved !== undefined) {
    const path = relative(root, saved)
    console.error(`fuzz: the input is ${path}; again: node scripts/fuzz.mjs --input=${path} ${target}`)
    console.error(`FAILED  fuzz: ${target}: the input in base64: ${readFileSync(saved).toString('base64')}`)
  }
  return false
}

/** The fewest inputs that reach all that is known to be reached, smallest first, as many as fit. */
async function minimise(target) {
  const corpus = join(sources, 'corpus', target)
  const live = join(output, 'corpus', target)
  const fresh = join(output, 'fresh', target)
  for (const folder of [corpus, live]) mkdirSync(folder, { recursive: true })
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(fresh, { recursive: true })
  const { code, text } = await runTarget(target, [
    '-set_cover_merge=1',
    '-use_counters=0',
    '-max_len=4096',
    fresh,
    corpus,
    live,
  ])
  if (code !== 0) throw new Error(`${target}: ${text.slice(-2000)}`)
  const bySize = readdirSync(fresh)
    .map((name) => ({ name, size: statSync(join(fresh, name)).size }))
    .sort((a, b) => a.size - b.size)
  // Those that once broke something are there for good.
  for (const name of readdirSync(corpus)) if (!name.startsWith('found-')) rmSync(join(corpus, name))
  let total = 0
  let kept = 0
  for (const { name, size } of bySize) {
    total += size
    if (total > CORPUS_BYTES) break
    copyFileSync(join(fresh, name), join(corpus, name))
    kept++
  }
  console.log(`fuzz: ${target}: ${kept} of ${bySize.length} inputs kept`)
}

function runTarget(target, args) {
  return new Promise((resolve, reject) => {
    const isSingle = option('input') !== undefined
    const child = spawn(join(output, target), args, {
      cwd: root,
      stdio: ['ignore', 'ignore', isSingle ? 'inherit' : 'pipe'],
      env: {
        ...process.env,
        ASAN_OPTIONS: 'detect_stack_use_after_return=1',
        UBSAN_OPTIONS: 'print_stacktrace=1',
        ASAN_SYMBOLIZER_PATH: symbolizer(),
      },
    })
    let text = ''
    child.stderr?.on('data', (chunk) => {
      text = (text + chunk).slice(-200_000)
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? 1, text }))
  })
}

/** Without it a stack is only addresses. */
function symbolizer() {
  const names = ['llvm-symbolizer', ...Array.from({ length: 10 }, (_, i) => `llvm-symbolizer-${22 - i}`)]
  const found = names.find(hasCommand)
  return found === undefined ? '' : spawnSync('sh', ['-c', `command -v ${found}`], { encoding: 'utf8' }).stdout.trim()
}

function command(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit' })
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
}

async function inParallel(items, work) {
  const queue = [...items]
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker))
}
