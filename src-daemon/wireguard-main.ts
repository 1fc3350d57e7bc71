/**
 * pintail-wireguard: the composition root of the plain WireGuard device. No logic. Ends with status 0 when it was asked
 * to, or its interface or socket was deleted; 1 when it could not start or something broke.
 */
import { readFileSync } from 'node:fs'
import { openPlainPath } from '../src-native/open-plain-path.ts'
import { nodeCrypto } from '../src-protocol/crypto/node-crypto.ts'
import { PlainDevice } from './engine/wireguard/device.ts'
import { startDetached, tellStarter } from './io/detach.ts'
import { createLog, errorText, silentLog } from './io/log/log.ts'
import { openLinuxTunWatch } from './io/tun-watch/linux.ts'
import { openUapiSocket } from './io/uapi/socket.ts'
import { socketCredentialsReader } from './io/users/socket-credentials.ts'
import { parseWireGuardFlags } from './wireguard-flags.ts'

/** What fits into 1500 with the larger of the two headers. */
const MTU_BYTES = 1420
const CLOSE_WITHIN_MS = 1_800

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
const flags = parseWireGuardFlags(process.argv.slice(2), process.env, `${version}-pintail`)
const log =
  flags.logLevel === undefined
    ? silentLog
    : createLog({
        level: flags.logLevel,
        write: (line) => process.stderr.write(line),
        wallClockMs: () => Date.now(),
      }).part(flags.interfaceName)

type Closer = () => Promise<void> | void
const closers: Closer[] = []
let isClosing = false

if (flags.isForeground) await runHere()
else {
  const problem = await startDetached({
    environment: { ...process.env, WG_PROCESS_FOREGROUND: '1' },
    keepsOutput: process.env.LOG_LEVEL !== undefined && flags.logLevel !== undefined,
  })
  if (problem !== undefined) process.stderr.write(`pintail-wireguard: ${problem}\n`)
  process.exit(problem === undefined ? 0 : 1)
}

async function runHere(): Promise<void> {
  process.title = `pintail-wireguard ${flags.interfaceName}`
  process.umask(0o077)
  process.on('SIGHUP', () => {})
  process.on('SIGTERM', () => void shutDown('signal', 0))
  process.on('SIGINT', () => void shutDown('signal', 0))
  process.on('uncaughtException', (error) => fail(error))
  process.on('unhandledRejection', (error) => fail(error))
  try {
    await run()
    await tellStarter({ kind: 'ready' })
  } catch (error) {
    await tellStarter({ kind: 'failed', reason: errorText(error) })
    process.stderr.write(`pintail-wireguard: ${errorText(error)}\n`)
    await shutDown('cannot-start', 1)
  }
}

async function run(): Promise<void> {
  const box: { device: PlainDevice | undefined; check: (() => void) | undefined } = {
    device: undefined,
    check: undefined,
  }
  const plainPath = await openPlainPath({
    tunName: flags.interfaceName,
    mtuBytes: MTU_BYTES,
    onEvents: (events) => {
      if (events.some((event) => event.kind === 'tunDown')) box.check?.()
      box.device?.handleDoorEvents(events)
    },
  })
  closers.unshift(() => plainPath.path.close())
  const interfaceName = plainPath.path.tunName ?? flags.interfaceName
  const watch = openLinuxTunWatch({
    interfaceName,
    onGone: () => void shutDown('interface-gone', 0),
    onMtu: (mtuBytes) => plainPath.setMtu(mtuBytes),
  })
  closers.unshift(() => watch.close())
  box.check = () => watch.check()
  const device = new PlainDevice({
    plainPath,
    crypto: nodeCrypto,
    now: () => performance.now(),
    wallMs: () => Date.now(),
    random01: () => Math.random(),
    log,
  })
  closers.unshift(() => device.close())
  box.device = device
  const socket = await openUapiSocket({
    interfaceName,
    handler: device,
    credentialsOf: socketCredentialsReader(),
    onRemoved: () => void shutDown('socket-removed', 0),
    log: log.part('uapi'),
  })
  closers.unshift(() => socket.close())
  const { backend, aead } = plainPath.path.stats()
  log.info('ready', { interface: interfaceName, socket: socket.path, backend, aead })
}

async function shutDown(reason: string, status: number): Promise<void> {
  if (isClosing) return
  isClosing = true
  log.info('end', { reason, status })
  setTimeout(() => process.exit(1), CLOSE_WITHIN_MS).unref()
  for (const close of closers) {
    try {
      await close()
    } catch (error) {
      log.error('close-failed', { error })
    }
  }
  process.exit(status)
}

/** Nothing is known about what still works. */
function fail(error: unknown): void {
  log.error('broken', { error, stack: error instanceof Error ? error.stack : undefined })
  void shutDown('broken', 1)
}
