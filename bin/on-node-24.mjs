// Runs one of our programs on Node 24, whatever the shell's own Node is: here when this Node is new enough, else in the
// Node that came with the dependencies. Plain Node 20, no dependencies.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const ownNode = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
const OLDEST_MAJOR = 24

/** `mainFile` is relative to the checkout; arguments and standard streams are this process's own. */
export async function onNode24(mainFile) {
  const file = join(root, mainFile)
  if (Number(process.versions.node.split('.')[0]) >= OLDEST_MAJOR) {
    process.argv[1] = file
    await import(pathToFileURL(file).href)
    return
  }
  if (!existsSync(ownNode)) {
    console.error(`This needs Node ${OLDEST_MAJOR}; run "npm start -- --check" once in ${root}, it brings one along.`)
    process.exitCode = 1
    return
  }
  const child = spawn(ownNode, ['--disable-warning=ExperimentalWarning', file, ...process.argv.slice(2)], {
    stdio: 'inherit',
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
