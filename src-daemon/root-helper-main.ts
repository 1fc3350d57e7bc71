/**
 * The root helper's composition root: a small process beside pintaild, started by the service manager when the daemon
 * first asks (the socket is then descriptor 3), gone again when it is idle. It reads no configuration, opens no network
 * connection and knows four commands. [docs/decisions/0009-privilege.md]
 */
import { chmod, chown, rm } from 'node:fs/promises'
import { Command } from 'commander'
import { addonMissing } from '../src-native/os-calls.ts'
import { ROOT_HELPER_SOCKET } from './flags.ts'
import { createLog, errorText } from './io/log/log.ts'
import { directRootHelper } from './io/root-helper/direct.ts'
import { openRootHelperServer } from './io/root-helper/server.ts'
import { posixUserAccounts } from './io/users/posix.ts'
import { readSocketCredentials } from './io/users/socket-credentials.ts'

const IDLE_MS = 60_000
/** Where systemd puts the first socket it hands over. [sd_listen_fds(3)] */
const FIRST_HANDED_FD = 3

const command = new Command('pintail-root-helper')
  .description('Does for pintaild what only root may: /etc/resolv.conf and resolvconf records. Nothing else.')
  .requiredOption('--user <name>', 'the only user it listens to; a name or a number')
  .option('--socket <path>', `where to listen when the service manager hands over no socket (${ROOT_HELPER_SOCKET})`)
  .allowExcessArguments(false)
  .addHelpText('after', '\nExample:\n  pintail-root-helper --user=pintail --socket=/run/pintail-root/helper.sock\n')
  .parse()
const options = command.opts<{ user: string; socket?: string }>()
const log = createLog(
  { level: 'info', write: (line) => process.stderr.write(line), wallClockMs: () => Date.now() },
  'root',
)

process.title = 'pintail-root'
process.umask(0o077)
process.chdir('/')

try {
  await run()
} catch (error) {
  process.stderr.write(`pintail-root-helper: ${errorText(error)}\n`)
  process.exitCode = 1
}

async function run(): Promise<void> {
  const missing = addonMissing()
  if (missing !== undefined) throw new Error(`callers cannot be told apart without the native addon: ${missing}`)
  const allowedUid = await uidOf(options.user)
  if (allowedUid === undefined) throw new Error(`there is no user ${options.user}`)
  const { LISTEN_PID, LISTEN_FDS } = process.env
  const isHanded = LISTEN_PID === String(process.pid) && LISTEN_FDS === '1'
  const path = options.socket ?? ROOT_HELPER_SOCKET
  if (!isHanded) await rm(path, { force: true })
  const server = await openRootHelperServer({
    listen: isHanded ? { fd: FIRST_HANDED_FD } : { path },
    allowedUid,
    credentialsOf: readSocketCredentials,
    helper: directRootHelper(),
    log,
    ...(isHanded ? { idle: { afterMs: IDLE_MS, onIdle: () => void end() } } : {}),
  })
  if (!isHanded) {
    await chown(path, allowedUid, 0)
    await chmod(path, 0o600)
  }
  log.info('ready', { user: options.user, uid: allowedUid })

  async function end(): Promise<void> {
    await server.close()
    process.exit(0)
  }
  process.once('SIGTERM', () => void end())
  process.once('SIGINT', () => void end())
}

/** 0 would mean that no helper is needed. */
async function uidOf(user: string): Promise<number | undefined> {
  const uid = /^\d{1,10}$/.test(user) ? Number(user) : await posixUserAccounts().uidOf(user)
  return uid === 0 ? undefined : uid
}
