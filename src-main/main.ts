/** Composition root of the app: the one file that knows window, tray, link and bridge. No logic of theirs. */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { app } from 'electron'
import { resolveSocketPath } from '../src-client/socket-path.ts'
import { runApp } from './app.ts'
import { parseFlags } from './flags.ts'
import { log } from './log.ts'
import { registerAppScheme } from './window/app-protocol.ts'

const flags = parseFlags(process.argv, process.env)
app.setName('Pintail')
// Every renderer, whatever its window asks; root in a test has no sandbox to enable.
if (!app.commandLine.hasSwitch('no-sandbox')) app.enableSandbox()
registerAppScheme()
if (flags.userDataDir !== undefined) app.setPath('userData', flags.userDataDir)
process.on('unhandledRejection', (reason) => log('error', 'a promise was left alone', reason))

const dist = dirname(dirname(fileURLToPath(import.meta.url)))
// Nothing is awaited at the top: Electron is ready only after this module was evaluated.
if (!app.requestSingleInstanceLock()) app.quit()
else
  start().catch((error: unknown) => {
    log('error', 'the app could not start', error)
    app.exit(1)
  })

async function start(): Promise<void> {
  await app.whenReady()
  const socketPath = await resolveSocketPath({ explicit: flags.socketPath })
  await runApp(flags, {
    socketPath,
    rendererFolder: join(dist, 'renderer'),
    preloadFile: join(dist, 'main', 'preload.cjs'),
    assetFolder: join(dist, 'assets'),
    appFolder: dirname(dist),
  })
}
