// Runs one of our programs on Node 24, whatever the shell's own Node is: here when this Node is new enough, else in the
// Node that came with the dependencies. Plain Node 20, no dependencies.
import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const ownNode = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
const OLDEST_MAJOR = 24

/**
 * Where Node keeps what it made of the sources: a third less memory, and a start in half the time. Code is run from there,
 * so only in a folder that nobody else may write: the checkout's own for its owner, the system's for root.
 */
const compileCache = cacheFolder()

function cacheFolder() {
  const user = process.getuid?.()
  if (user === undefined || statSync(root).uid === user) return join(root, 'build', 'compile-cache')
  return user === 0 ? '/var/cache/pintail/compiled' : undefined
}

/** `mainFile` is relative to the checkout; arguments and standard streams are this process's own. */
export async function onNode24(mainFile) {
  const file = join(root, mainFile)
  if (Number(process.versions.node.split('.')[0]) >= OLDEST_MAJOR) {
    process.argv[1] = file
    if (compileCache !== undefined) module.enableCompileCache?.(compileCache)
    await import(pathToFileURL(file).href)
    module.flushCompileCache?.() // a daemon may be killed long after
    return
  }
  if (!existsSync(ownNode)) {
    console.error(`This needs Node ${OLDEST_MAJOR}; run "npm start -- --check" once in ${root}, it brings one along.`)
    process.exitCode = 1
    return
  }
  const child = spawn(ownNode, ['--disable-warning=ExperimentalWarning', file, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: compileCache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: compileCache },
  })
  // On a terminal Ctrl-C reaches the child by itself.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.once('error', (error) => {
    console.error(`cannot start ${ownNode}: ${error.message}`)
    process.exitCode = 1
  })
  child.once('close', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143)
  })
}
