// Makes a fresh checkout ready: npm dependencies, Node 24, the native addon, system packages. Re-entrant: each step is
// skipped when its result is there. Plain Node 20, no dependencies.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasCommand, node24, root, run } from './process.mjs'
import { note, step } from './say.mjs'

/** Debian package → a file or command that shows it is there. Only what Node cannot bring along. */
const systemPackages = {
  build: { 'g++': 'g++' },
  lab: {
    iproute2: 'ip',
    nftables: 'nft',
    'iputils-ping': 'ping',
    procps: 'sysctl',
    'util-linux': 'unshare',
    conntrack: 'conntrack',
    'wireguard-tools': 'wg',
    // For wireguard-go's own test script.
    ncat: 'ncat',
    iptables: 'iptables',
  },
  bench: { iperf3: 'iperf3' },
  display: { xvfb: 'Xvfb', xauth: 'xauth', 'dbus-daemon': 'dbus-daemon', dbus: 'dbus-run-session' },
  electron: {
    'libgtk-3-0': 'libgtk-3.so.0',
    libnss3: 'libnss3.so',
    libasound2: 'libasound.so.2',
    libgbm1: 'libgbm.so.1',
    libxss1: 'libXss.so.1',
    libxtst6: 'libXtst.so.6',
    'libatspi2.0-0': 'libatspi.so.0',
    libdrm2: 'libdrm.so.2',
    libcups2: 'libcups.so.2',
    libxkbcommon0: 'libxkbcommon.so.0',
    libnotify4: 'libnotify.so.4',
    'libsecret-1-0': 'libsecret-1.so.0',
    'xdg-utils': 'xdg-open',
  },
}

async function sharedLibraries() {
  for (const ldconfig of ['/sbin/ldconfig', '/usr/sbin/ldconfig'])
    if (existsSync(ldconfig)) return run(ldconfig, ['-p'])
  return ''
}

async function missingPackages(groups) {
  const libraries = await sharedLibraries()
  const isThere = (sign) =>
    sign.includes('.so')
      ? libraries.includes(sign)
      : hasCommand(sign) || existsSync(`/usr/sbin/${sign}`) || existsSync(`/sbin/${sign}`)
  return groups.flatMap((group) =>
    Object.entries(systemPackages[group])
      .filter(([, sign]) => !isThere(sign))
      .map(([name]) => name),
  )
}

/** Installs what is missing as root on Debian and its kin; otherwise prints the one command. Answers what is still missing. */
async function systemReady(groups) {
  if (process.platform !== 'linux') return []
  const missing = await missingPackages(groups)
  if (missing.length === 0) return []
  return (await install(missing)) ? missingPackages(groups) : missing
}

async function install(missing) {
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`
  if (process.getuid() !== 0 || !hasCommand('apt-get')) {
    note(`these system packages are missing: ${missing.join(' ')}`)
    note(`install them with:  sudo ${command}`)
    return false
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await step(`install system packages: ${missing.join(' ')}`, async (progress) => {
    await run('apt-get', ['update'], { env, onLine: progress })
    await run('apt-get', ['install', '-y', '--no-install-recommends', ...missing], { env, onLine: progress })
  })
  return true
}

/** Packages that only some tests need: where they cannot be had that is said, and those tests are skipped. */
export async function optionalPackages(names) {
  if (process.platform !== 'linux') return
  try {
    await install(names)
  } catch (error) {
    note(`without ${names.join(' ')}: ${error.message.trim().split('\n').at(-1)}`)
  }
}

/**
 * The programs that manage DNS on Debian's kin, for the laboratory's machines: fetched, never installed here, since each
 * of them would take over this machine's resolv.conf. Asked for once; without them their tests are skipped by name.
 */
async function dnsProgramsReady() {
  const folder = join(root, '.cache', 'debs')
  const names = ['systemd-resolved', 'libsystemd-shared', 'resolvconf', 'openresolv']
  if (process.env.PINTAIL_DEBS !== undefined || existsSync(folder) || !hasCommand('apt-get')) return
  mkdirSync(folder, { recursive: true })
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const fetch = () => run('apt-get', ['download', ...names], { env, cwd: folder })
  await step('fetch the programs that manage DNS', async (progress) => {
    if (await fetch().then(Boolean, () => false)) return
    if (process.getuid() === 0) await run('apt-get', ['update'], { env, onLine: progress })
    await fetch()
  }).catch((error) => note(`without ${names.join(' ')}: ${error.message.trim().split('\n').at(-1)}`))
}

/** libipsec-mb makes the packet path faster and is never needed. Asked for once: not every machine can have it. */
async function fasterReady() {
  const stamp = join(root, 'node_modules', '.pintail-asked-for-ipsec-mb')
  if (process.arch !== 'x64' || existsSync(stamp) || (await sharedLibraries()).includes('libIPSec_MB.so')) return
  writeFileSync(stamp, '')
  await optionalPackages(['libipsec-mb1'])
}

// `npm install --no-save`, not `npm ci`: a registry mirror may lack another platform's optional package, which `ci` takes for a
// lock file out of step. Versions and integrity still come from the lock file, and it is not written.
async function dependenciesReady() {
  const stamp = join(root, 'node_modules', '.pintail-ready')
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(node24) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  await step('install npm dependencies', (progress) =>
    run('npm', ['install', '--no-save', '--no-fund', '--no-audit', '--loglevel=error'], { onLine: progress }),
  )
  if (!existsSync(node24)) await step('fetch Node 24', () => run('npm', ['rebuild', 'node']))
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  writeFileSync(stamp, wanted)
}

/** Everything a script needs before it can start. `groups` names system packages; answers those that are still missing. */
/** Node keeps what it made of the sources (`bin/on-node-24.mjs`), so that not the first start pays for it. */
async function compileDaemon() {
  await run(node24, [join(root, 'bin', 'pintaild.mjs'), '--version'])
}

export async function makeReady(groups) {
  const [major] = process.versions.node.split('.').map(Number)
  if (major < 20) throw new Error(`Node ${process.versions.node} is too old; Node 20 or newer is needed to start`)
  await dependenciesReady()
  const missing = await systemReady(['build', ...groups])
  if (groups.includes('lab') || groups.includes('bench')) await fasterReady()
  if (groups.includes('lab')) await dnsProgramsReady()
  await step('build the native addon', () => run(node24, [join(root, 'scripts', 'native.mjs')]))
  if (!existsSync(join(root, 'build', 'compile-cache'))) await step('compile the daemon once', compileDaemon)
  return missing
}
