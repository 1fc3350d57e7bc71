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
app.enableSandbox()
registerAppScheme()
if (flags.userDataDir !== undefined) app.setPath('userData', flags.userDataDir)
process.on('unhandledRejection', (reason) => log('error', 'a promise was left alone', reason))

const dist = dirname(dirname(fileURLToPath(import.meta.url)))
if (!app.requestSingleInstanceLock()) {
  app.quit()
} else {
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
