/**
 * The composition root: the one file that knows every part of the server. It opens them in an order in which each finds
 * what it needs, and closes them in reverse. No protocol, no policy, no text for people.
 */
import { X509Certificate } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeKeyText } from '../src-contract/ids.ts'
import { nodeCrypto } from '../src-protocol/crypto/node-crypto.ts'
import { machineKeyText } from '../src-protocol/wire/keys.ts'
import { claimSocket, openAdminSocket } from './admin/socket.ts'
import { CertificateRequests } from './certificates/certificate-requests.ts'
import { PrivateCa } from './certificates/private-ca.ts'
import { changedKeys, type Reloaded, takeLive, unknownUsers } from './config/live.ts'
import type { Config } from './config/schema.ts'
import { Housekeeping } from './control/housekeeping.ts'
import { Hub } from './control/hub.ts'
import { PendingLogins } from './control/pending-logins.ts'
import { ControlConnections } from './control/ts2021.ts'
import { ControlPart } from './http/control-part.ts'
import { type FrontPart, openFront } from './http/front.ts'
import type { Log } from './log.ts'
import { derpMap } from './mapper/derp-map.ts'
import { dnsConfig } from './mapper/dns.ts'
import { Maps } from './mapper/maps.ts'
import { fullName, type MapContext } from './mapper/node.ts'
import { NodeAttributes } from './policy/node-attributes.ts'
import { allowAll } from './policy/policy.ts'
import { isExpired, type NodeRecord } from './registry/model.ts'
import { Registry } from './registry/registry.ts'
import { type Certificate, keepCertificate, pinOf, readCertificate } from './relay/certificate.ts'
import { RelayPart } from './relay/relay-part.ts'
import { RelayServer } from './relay/relay-server.ts'
import { openStun } from './relay/stun-server.ts'
import { autoApproval } from './routing/offers.ts'
import { Routing } from './routing/routing.ts'
import { openDatabase } from './store/database.ts'
import { hasKeyFile, keepPrivateKey } from './store/key-file.ts'
import { Store } from './store/store.ts'
import { version } from './version.ts'

export interface RunningServer {
  readonly controlPort: number
  readonly relayPort: number | undefined
  readonly stunPort: number | undefined
  readonly registry: Registry
  /** Reads the configuration again and takes over what a running server can. Throws ConfigError and changes nothing. */
  reload(): Reloaded
  close(): Promise<void>
}

export interface ServerOptions {
  readonly config: Config
  /** Reads the configuration again; without it a reload changes nothing. */
  readonly readConfig?: () => Config
  readonly log: Log
  readonly now?: () => number
}

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const closers: (() => Promise<void> | void)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    return { ...(await open(options, closers)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function open(
  { config, readConfig = () => config, log, now = Date.now }: ServerOptions,
  closers: (() => Promise<void> | void)[],
): Promise<Omit<RunningServer, 'close'>> {
  mkdirSync(config.state_dir, { recursive: true, mode: 0o700 })
  await claimSocket(config.unix_socket)

  const store = new Store(await openDatabase(config.database.path ?? join(config.state_dir, 'db.sqlite')))
  const registry = await Registry.open(store, {
    ...config.prefixes,
    nodeExpiryMs: config.node.expiry,
    now,
    onWriteProblem: (error) => log('error', 'database-write-failed', { error: String(error) }),
  })
  closers.push(() => registry.close())

  const noisePath = config.noise.private_key_path ?? join(config.state_dir, 'noise.key')
  if (!hasKeyFile(noisePath) && registry.nodes.size > 0)
    throw new Error(
      `${noisePath} is missing, but the database holds ${registry.nodes.size} nodes that know this server by it; put the file back, or remove the database as well`,
    )
  const noiseKey = keepPrivateKey(noisePath)

  const tls =
    config.tls.cert_path === undefined ? undefined : readCertificate(config.tls.cert_path, config.tls.key_path!)
  const mayRelay = (nodeKey: NodeKeyText) => {
    const node = registry.nodeByKey(nodeKey)
    return node !== undefined && !isExpired(node, now())
  }
  const relay = await openRelay(config, tls, mayRelay, log, now, closers)

  const userName = ({ userId }: NodeRecord) => (userId === null ? undefined : registry.users.get(userId)?.name)
  const approver = ({ auto_approve }: Config) => ({
    auto: autoApproval(auto_approve.routes, auto_approve.exit_node),
    userName,
  })
  const routing = new Routing(approver(config))
  const attributes = new NodeAttributes(config.node_attributes, userName)
  const ca = config.certificates.enabled
    ? await PrivateCa.open(config.state_dir, config.dns.base_domain, now)
    : undefined
  const hub = new Hub({ registry, routing, now, random01: Math.random, offlineAfterMs: config.node.offline_after })
  const context: MapContext = {
    baseDomain: config.dns.base_domain,
    taildrop: config.taildrop.enabled,
    authority: ca && { Root: ca.rootPem },
    policy: { ...allowAll, capabilities: (node) => attributes.of(node) },
    now,
    isOnline: (id) => hub.isOnline(id),
    routes: (id) => routing.of(id),
  }
  const domain = config.dns.base_domain
  const shared = ({ derp, dns }: Config) => ({
    DERPMap: derpMap(relay?.own, derp.regions),
    DNSConfig: dnsConfig(dns, config.prefixes),
  })
  const maps = new Maps({ registry, context, domain, shared: shared(config) })
  hub.setMaps(maps)
  closers.push(() => hub.close())

  const pending = new PendingLogins(now)
  closers.push(() => pending.close())
  const connections = new ControlConnections(
    {
      registry,
      hub,
      maps,
      pending,
      certificates:
        ca &&
        new CertificateRequests({
          ca,
          registry,
          nameOf: (node) => fullName(node, context).slice(0, -1),
          now,
          onIssue: (node, name) => log('info', 'certificate-issued', { node: node.id, name }),
        }),
      serverUrl: config.server_url,
      now,
      log: (event, detail) => log(event.includes('error') ? 'debug' : 'info', event, detail),
    },
    noiseKey,
  )
  closers.push(() => connections.close())
  const housekeeping = new Housekeeping({
    registry,
    hub,
    now,
    ephemeralMs: config.node.ephemeral.inactivity_timeout,
    onDelete: (node) => log('info', 'ephemeral-node-removed', { node: node.id, name: node.givenName }),
    onFailure: (error) => log('error', 'cleanup-failed', { error: String(error) }),
  })
  closers.push(() => housekeeping.close())

  const controlPart = new ControlPart({
    publicKey: machineKeyText(nodeCrypto.x25519PublicKey(noiseKey)),
    connections,
    pending,
    version,
    mayRelay,
  })
  // Whoever reconnects within two minutes to a public address tries TLS only; there the channel proves itself, so the
  // relay's certificate will do.
  relay?.parts.push(controlPart)
  const parts = relay?.isShared ? relay.parts : [controlPart]
  const front = await openFront({ listen: config.listen_addr, purpose: 'the control server (listen_addr)', tls, parts })
  closers.push(() => front.close())

  let running = config
  const warningsOf = (it: Config) => unknownUsers(it, (name) => registry.userByName(name) !== undefined)
  const reload = (): Reloaded => {
    const next = readConfig()
    const keys = changedKeys(running, next)
    running = takeLive(running, next)
    hub.show(routing.setApprover(approver(running)))
    hub.show(attributes.setRules(running.node_attributes, registry.nodes.values()))
    hub.tellAll(maps.setShared(shared(running)))
    return { ...keys, warnings: warningsOf(running) }
  }
  for (const warning of warningsOf(config)) log('warn', 'config', { warning })

  const admin = await openAdminSocket(
    config.unix_socket,
    Number.parseInt(config.unix_socket_permission, 8),
    {
      registry,
      pending,
      context,
      version,
      reload,
      defaultKeyLifeMs: config.preauth_keys.expiration,
      health: () => ({
        streams: hub.streamCount,
        connections: connections.count,
        nodes: registry.nodes.size,
        relayClients: relay?.server.clientCount ?? 0,
      }),
    },
    (error) => log('error', 'admin-request-failed', { error: String(error) }),
  )
  closers.push(() => admin.close())

  log('info', 'ready', {
    url: config.server_url,
    control: front.port,
    ...(relay === undefined ? {} : { relay: relay.own.derpPort, stun: relay.own.stunPort }),
    socket: config.unix_socket,
  })
  return { controlPort: front.port, relayPort: relay?.port, stunPort: relay?.own.stunPort, registry, reload }
}

function isSelfSigned(certificate: Certificate): boolean {
  const parsed = new X509Certificate(certificate.cert)
  return parsed.issuer === parsed.subject
}

async function openRelay(
  config: Config,
  tls: Certificate | undefined,
  mayRelay: (nodeKey: NodeKeyText) => boolean,
  log: Log,
  now: () => number,
  closers: (() => Promise<void> | void)[],
) {
  const wish = config.derp.server
  if (!wish.enabled) return undefined
  const hostname = wish.hostname ?? new URL(config.server_url).hostname.replace(/^\[|\]$/g, '')
  const isShared =
    wish.listen.host === config.listen_addr.host &&
    wish.listen.port === config.listen_addr.port &&
    wish.listen.port !== 0
  const certificate = isShared
    ? tls!
    : wish.cert_path === undefined
      ? keepCertificate(config.state_dir, hostname, now())
      : readCertificate(wish.cert_path, wish.key_path!)

  const server = new RelayServer({
    privateKey: keepPrivateKey(join(config.state_dir, 'relay-identity.key')),
    mayUse: wish.verify_clients ? mayRelay : () => true,
    log: (event, detail) => log('debug', event, detail),
  })
  closers.push(() => server.close())
  const parts: FrontPart[] = [new RelayPart(server)]
  let port = wish.listen.port
  if (!isShared) {
    const front = await openFront({
      listen: wish.listen,
      purpose: 'the relay (derp.server.listen)',
      tls: certificate,
      parts,
    })
    closers.push(() => front.close())
    port = front.port
  }
  const stun = await openStun(wish.stun_listen)
  closers.push(() => stun.close())
  const own = {
    regionId: wish.region_id,
    regionCode: wish.region_code,
    regionName: wish.region_name,
    hostname,
    ipv4: wish.ipv4,
    ipv6: wish.ipv6,
    derpPort: wish.public_port ?? port,
    stunPort: wish.stun_public_port ?? stun.port,
    certName: certificate.certName ?? (isSelfSigned(certificate) ? pinOf(certificate.cert) : undefined),
  }
  return { own, port, server, parts, isShared }
}
