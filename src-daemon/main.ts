/**
 * pintaild: the composition root. The one file that knows every concrete class; no logic. Ends with status 0 after
 * SIGTERM or SIGINT, 1 when it could not start or something broke that must not be survived.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { watchMask } from '../src-contract/localapi/notify.ts'
import { openDataPath } from '../src-native/open-data-path.ts'
import { addonMissing } from '../src-native/os-calls.ts'
import { nodeCrypto } from '../src-protocol/crypto/node-crypto.ts'
import { SERVICE_V4, SERVICE_V6 } from '../src-protocol/machines/resolver/upstream.ts'
import { cleanUp } from './clean-up.ts'
import { Backend } from './engine/backend.ts'
import { Bypass } from './engine/bypass/bypass.ts'
import { Certificates } from './engine/certificates/certificates.ts'
import { controlOpener } from './engine/control.ts'
import { DnsService } from './engine/dns/dns-service.ts'
import { readHostFacts } from './engine/hostinfo.ts'
import { openMesh } from './engine/mesh/mesh.ts'
import { magicDnsSuffix } from './engine/node-text.ts'
import { nameRoute } from './engine/peerapi/name-route.ts'
import { PeerApi } from './engine/peerapi/peer-api.ts'
import { Profiles } from './engine/profiles.ts'
import { Serve } from './engine/serve/serve.ts'
import { statusLine } from './engine/status-line.ts'
import { openTaildrop } from './engine/taildrop/open-taildrop.ts'
import { putRoute } from './engine/taildrop/put-route.ts'
import { UserspaceDialer } from './engine/userspace/dialer.ts'
import { openProxies } from './engine/userspace/open-proxies.ts'
import { Userspace } from './engine/userspace/userspace.ts'
import { UserspaceRouter } from './engine/userspace/userspace-router.ts'
import { parseFlags } from './flags.ts'
import { certificateFolder } from './io/certificates/folder.ts'
import { makeKeyAndRequest } from './io/certificates/key-and-request.ts'
import { hasIpv6, openLinuxOsDns } from './io/dns/linux.ts'
import { MemoryOsDns } from './io/dns/memory.ts'
import { lookUpBySystem } from './io/dns/system-look-up.ts'
import { linuxForeignRoutes } from './io/foreign-routes/linux.ts'
import { createLog, errorText } from './io/log/log.ts'
import { openLinuxNetworkMonitor } from './io/netmon/linux.ts'
import { openPeerApiListener } from './io/peerapi/listener.ts'
import { rootHelperClient } from './io/root-helper/client.ts'
import { directRootHelper } from './io/root-helper/direct.ts'
import { linuxRouteView } from './io/route-view/linux.ts'
import { checkForwarding, checkUdpGroForwarding } from './io/router/forwarding.ts'
import { openLinuxRouter } from './io/router/linux.ts'
import { FileServers, mayReadFor } from './io/serve/file-servers.ts'
import { ReverseProxy } from './io/serve/proxy.ts'
import { openServedPort } from './io/serve/served-port.ts'
import { openServiceManager } from './io/service-manager/notify.ts'
import { openFileStore } from './io/store/file.ts'
import { openUapiSocket } from './io/uapi/socket.ts'
import { posixUserAccounts } from './io/users/posix.ts'
import { socketCredentialsReader } from './io/users/socket-credentials.ts'
import { localApiRoutes } from './localapi/routes.ts'
import { openLocalApi } from './localapi/server.ts'
import { meshParts } from './mesh-parts.ts'

/** Our own datagrams and connections must not go into the tunnel. The value that stock daemons use. */
const FWMARK = 0x80000
const isRoot = process.getuid?.() === 0
/** A service manager that has waited this long would kill us anyway; a helper may have to be started first. */
const CLOSE_WITHIN_MS = isRoot ? 1_800 : 8_000

/** Young garbage is gone in half a millisecond; waiting for helper threads that get no processor takes up to a hundred. */
setFlagsFromString('--no-parallel-scavenge')

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
const longVersion = `${version}-pintail`
const flags = parseFlags(process.argv.slice(2), longVersion)
const wallMs = (): number => Date.now()
const nowMs = (): number => performance.now()
const random01 = (): number => Math.random()
const log = createLog({ level: flags.logLevel, write: (line) => process.stderr.write(line), wallClockMs: wallMs })

const root = isRoot ? directRootHelper() : rootHelperClient(flags.rootHelperPath)
const manager = openServiceManager(process.env, log.part('service'))

process.title = 'pintaild'
process.umask(0o077)
process.on('SIGHUP', () => {})
process.on('uncaughtException', (error) => fail('uncaught', error))
process.on('unhandledRejection', (error) => fail('unhandled', error))

function randomNumber(bytes: number): number {
  return nodeCrypto.randomBytes(bytes).reduce((sum, byte) => sum * 256 + byte, 0)
}

type Closer = () => Promise<void> | void
const closers: Closer[] = []
let isClosing = false
process.on('SIGTERM', () => void shutDown(0))
process.on('SIGINT', () => void shutDown(0))

try {
  if (flags.cleanup) process.exit(await cleanUp(flags, root, log))
  await run()
} catch (error) {
  log.error('cannot-start', { reason: errorText(error) })
  process.stderr.write(`pintaild: ${errorText(error)}\n`)
  await shutDown(1)
}

async function run(): Promise<void> {
  log.info('start', { version: longVersion, ...flags, addon: addonMissing() ?? 'loaded' })
  const store = await openFileStore(flags.stateFolder)
  closers.unshift(() => store.close())
  const profiles = await Profiles.open(store, nodeCrypto)
  // an interface, and sockets past it, are the addon's; a machine without it joins all the same
  const noInterface = flags.tunName === undefined ? undefined : addonMissing()
  const wantedTun = noInterface === undefined ? flags.tunName : undefined
  const monitor = openLinuxNetworkMonitor({ ownInterface: wantedTun })
  closers.unshift(() => monitor.close())
  const userspace =
    wantedTun === undefined
      ? new Userspace({ random32: () => randomNumber(4), now: nowMs, log: log.part('userspace') })
      : undefined
  closers.unshift(() => userspace?.close())
  // without routes of ours there is nothing to stay out of, and no right to say so
  const fwmark = userspace === undefined ? FWMARK : 0
  const onRepair = (lines: readonly string[]): void => log.info('network-repaired', { lines: lines.slice(0, 20) })
  const plane = await openMesh({
    tunName: wantedTun,
    udpPort: flags.udpPort,
    fwmark,
    openDataPath: (options) =>
      openDataPath(
        userspace === undefined ? options : { ...options, openHost: (handlers) => userspace.host.attach(handlers) },
      ),
    openRouter: (name) =>
      name === undefined
        ? Promise.resolve(userspace?.router ?? new UserspaceRouter())
        : openLinuxRouter(name, { onRepair }),
    ...meshParts({ crypto: nodeCrypto, log, nowMs, wallMs, random01, fwmark, tunName: wantedTun }),
    monitor,
    crypto: nodeCrypto,
    now: nowMs,
    wallMs,
    random01,
    log,
  })
  closers.unshift(() => plane.close())
  if (flags.uapi && plane.tunName !== undefined) {
    const uapi = await openUapiSocket({
      interfaceName: plane.tunName,
      handler: { state: () => plane.uapiState(), apply: async () => 'EPERM' },
      credentialsOf: socketCredentialsReader(),
      log: log.part('uapi'),
    })
    closers.unshift(() => uapi.close())
  }
  const { tunName } = plane
  const dnsLog = log.part('dns')
  const dns = new DnsService({
    os: tunName === undefined ? new MemoryOsDns() : await openLinuxOsDns({ interfaceName: tunName, root, log: dnsLog }),
    writeToHost: (packet) => plane.writeToHost(packet),
    hasIpv6: () => tunName !== undefined && hasIpv6(tunName),
    randomBytes: (count) => nodeCrypto.randomBytes(count),
    now: nowMs,
    log: dnsLog,
    ...(tunName === undefined ? {} : { lookUpBySystem }),
  })
  plane.serve({ addresses: [SERVICE_V4, SERVICE_V6], handle: (packet) => dns.handlePacket(packet) })
  closers.unshift(() => dns.close())
  const dialer = new UserspaceDialer({
    dns,
    overlay: userspace,
    ownDomain: () => backend.netmap && magicDnsSuffix(backend.netmap.self.Name),
  })
  const taildrop = openTaildrop({ ...flags, dialer, nowMs, wallMs, log: log.part('taildrop') })
  closers.unshift(() => taildrop.close())
  const peerApi = new PeerApi({
    open: (options) => openPeerApiListener(options),
    routes: [nameRoute((query) => dns.answerForOther(query)), putRoute(taildrop.inbox)],
    log: log.part('peerapi'),
  })
  closers.unshift(() => peerApi.close())
  const certificates = new Certificates({
    folder: certificateFolder(join(flags.stateFolder, 'certs')),
    makeKeyAndRequest,
    wallMs,
    log: log.part('certificates'),
  })
  const serveLog = log.part('serve')
  const proxy = new ReverseProxy(({ host, port, socketPath }, reason) =>
    serveLog.warn('proxy', { to: socketPath ?? `${host}:${port}`, reason }),
  )
  const files = new FileServers({ ownerOf: (key) => serve.ownerOf(key), log: serveLog })
  const serve = new Serve({
    open: (address, port, served) => openServedPort({ proxy, files, log: serveLog }, address, port, served),
    secureNames: () => (certificates.authority === undefined ? undefined : (name) => certificates.contextFor(name)),
    mayReadFor,
    log: serveLog,
  })
  closers.unshift(async () => {
    await serve.close()
    await Promise.all([proxy.close(), files.close()])
  })
  const accounts = posixUserAccounts()
  const bypass = new Bypass({ routes: linuxForeignRoutes(tunName), accounts, now: nowMs, log: log.part('bypass') })
  const backend = new Backend({
    bypass,
    version: longVersion,
    profiles,
    plane,
    openControl: controlOpener({ crypto: nodeCrypto, log, wallMs, nowMs, random01, sockets: { fwmark } }),
    crypto: nodeCrypto,
    hostFacts: readHostFacts(),
    noInterface,
    hostChecks: {
      forwarding: (routes) => checkForwarding(routes, tunName),
      udpOffload: () => checkUdpGroForwarding(),
      hasUser: async (name) => (await accounts.uidOf(name)) !== undefined,
    },
    explain: { view: linuxRouteView(), accounts },
    random01,
    nowMs,
    dns,
    taildrop,
    ...(tunName === undefined ? {} : { peerApi, serve, certificates }),
    wallMs,
    log,
  })
  closers.unshift(() => backend.close())
  monitor.onChange((change) => {
    log.info('network-change', { reason: change.reason, major: change.major })
    backend.networkChanged(change.major)
  })
  for (const proxy of await openProxies(flags, dialer, log.part('proxies'))) {
    userspace?.closedPorts.add(proxy.port)
    closers.unshift(() => proxy.close())
  }
  const api = await openLocalApi({
    socketPath: flags.socketPath,
    routes: localApiRoutes(backend),
    credentialsOf: socketCredentialsReader(),
    daemonUid: process.getuid?.() ?? 0,
    operatorUid: () => accounts.uidOf(backend.prefs.OperatorUser ?? ''),
    log: log.part('localapi'),
  })
  closers.unshift(() => api.close())
  const tellState = (): void => manager.status(statusLine(backend.status(false)))
  tellState()
  closers.unshift(
    backend.watch({
      mask: watchMask.noPrivateKeys | watchMask.noNetMap,
      deliver: ({ State, Health }) => {
        if (typeof State === 'number' || Health !== undefined) tellState()
      },
    }),
  )
  manager.ready()
  log.info('ready', { socket: flags.socketPath, interface: plane.hasTun ? wantedTun : null })
  await backend.resume()
}

async function shutDown(status: number): Promise<void> {
  if (isClosing) return
  isClosing = true
  manager.stopping()
  const late = setTimeout(() => {
    log.error('close-too-slow')
    process.exit(1)
  }, CLOSE_WITHIN_MS)
  late.unref()
  for (const close of closers) {
    try {
      await close()
    } catch (error) {
      log.error('close-failed', { error })
    }
  }
  log.info('end', { status })
  process.exit(status)
}

/** Nothing is known about what still works: end, and let the service manager start a fresh one. */
function fail(kind: string, error: unknown): void {
  log.error(kind, { error, stack: error instanceof Error ? error.stack : undefined })
  void shutDown(1)
}
