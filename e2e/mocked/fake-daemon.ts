/**
 * A daemon that only talks: the LocalAPI over a Unix socket with the contract's shapes and the real one's rules (Host
 * check, no Origin, early watch header, exact status codes). Tests change its world and see what the app asked.
 * `stock` answers 404 for everything under `pintail/`.
 */
import { rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { DerpMap, Node, UserProfile } from '../../src-contract/control/map.ts'
import type { NodeKeyText, StableNodeId } from '../../src-contract/ids.ts'
import { type HealthWarning, type LegacyNetMap, type Notify, watchMask } from '../../src-contract/localapi/notify.ts'
import type { PingResult } from '../../src-contract/localapi/ping.ts'
import type { PathReport } from '../../src-contract/localapi/pintail.ts'
import { defaultPrefs, type MaskedPrefs, type Prefs, type StartOptions } from '../../src-contract/localapi/prefs.ts'
import { type IpnStateName, ipnStateNumber } from '../../src-contract/localapi/state.ts'
import type { PeerStatus, Status } from '../../src-contract/localapi/status.ts'

import { FakeRoutes } from './fake-routes.ts'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly body: unknown
}

interface Watcher {
  readonly response: ServerResponse
  readonly mask: number
}

export interface FakeOptions {
  isStock?: boolean
  state?: IpnStateName
  nodes?: Node[]
  users?: UserProfile[]
  self?: Node | null
  /** 403 for everything that changes something. */
  isReadOnly?: boolean
}

export class FakeDaemon {
  readonly socketPath: string
  readonly seen: SeenRequest[] = []
  readonly refused: string[] = []
  readonly isStock: boolean
  isReadOnly: boolean
  state: IpnStateName
  prefs: Prefs
  self: Node | null
  nodes: Map<StableNodeId, Node>
  users: UserProfile[]
  paths: { [id: StableNodeId]: PathReport } = {}
  readonly routes = new FakeRoutes(
    (PintailChanges) => this.notify({ PintailChanges }),
    () => this.prefs,
  )
  authUrl = ''
  /** What `login-interactive` leads to. */
  signInUrl = 'https://control.example.org/register/a1b2c3d4'
  /** What `start` with a key leads to: undefined = accepted. */
  keyRefusal: string | undefined
  answersNames = true
  suggestedExitNode: StableNodeId = ''
  derpMap: DerpMap | null = null
  pingAnswers: { [id: StableNodeId]: Partial<PingResult> } = {}
  #server: Server | undefined
  readonly #watchers = new Set<Watcher>()

  constructor(socketPath: string, options: FakeOptions = {}) {
    this.socketPath = socketPath
    this.isStock = options.isStock ?? false
    this.isReadOnly = options.isReadOnly ?? false
    this.state = options.state ?? 'Running'
    this.self = options.self === undefined ? null : options.self
    this.nodes = new Map((options.nodes ?? []).map((node) => [node.StableID, node]))
    this.users = options.users ?? []
    this.prefs = {
      ...defaultPrefs(),
      ControlURL: 'https://control.example.org',
      WantRunning: this.state === 'Running' || this.state === 'Starting',
      LoggedOut: this.state === 'NeedsLogin',
    }
  }

  async start(): Promise<void> {
    rmSync(this.socketPath, { force: true })
    this.#server = createServer((request, response) => void this.#answer(request, response))
    await new Promise<void>((resolve, reject) => {
      this.#server?.once('error', reject).listen(this.socketPath, resolve)
    })
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    this.#watchers.clear()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(this.socketPath, { force: true })
  }

  get watcherCount(): number {
    return this.#watchers.size
  }

  requests(method: string, path: string): SeenRequest[] {
    return this.seen.filter((request) => request.method === method && request.path === path)
  }

  // What happens in the world ------------------------------------------------------------------------------------

  setState(state: IpnStateName): void {
    this.state = state
    this.notify({ State: ipnStateNumber(state) })
  }

  putNode(node: Node): void {
    this.nodes.set(node.StableID, node)
    this.notify({ PeersChanged: [node] })
  }

  removeNode(id: StableNodeId): void {
    const node = this.nodes.get(id)
    this.nodes.delete(id)
    if (node !== undefined) this.notify({ PeersRemoved: [node.ID] })
  }

  setHealth(warnings: HealthWarning[]): void {
    this.notify({
      Health: { Warnings: Object.fromEntries(warnings.map((warning) => [warning.WarnableCode, warning])) },
    })
  }

  setSelf(self: Node | null, network = true): void {
    this.self = self
    if (self !== null && network) this.notify({ NetMap: this.#netMap(), SelfChange: self })
  }

  notify(part: Partial<Notify>): void {
    for (const watcher of this.#watchers) this.#send(watcher, part)
  }

  #send(watcher: Watcher, part: Partial<Notify>): void {
    const { PeersChanged, PeersRemoved, UserProfiles, ...always } = part
    const wantsPeers = (watcher.mask & watchMask.peerChanges) !== 0
    const peers = wantsPeers
      ? Object.fromEntries(Object.entries({ PeersChanged, PeersRemoved, UserProfiles }).filter(([, value]) => value))
      : {}
    watcher.response.write(`${JSON.stringify({ ...silence(), ...always, ...peers })}\n`)
  }

  // The API ------------------------------------------------------------------------------------------------------

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<ServerResponse> {
    const url = new URL(request.url ?? '/', 'http://local-tailscaled.sock')
    const { host, origin, referer } = request.headers
    if ((host !== 'local-tailscaled.sock' && host !== '') || origin !== undefined || referer !== undefined) {
      this.refused.push(`${host} ${origin ?? ''}`)
      return text(response, 403, 'invalid localapi request')
    }
    const path = url.pathname.replace('/localapi/v0/', '')
    const body = await readBody(request)
    this.seen.push({ method: request.method ?? '', path, body })
    response.setHeader('Tailscale-Cap', '145')
    response.setHeader('Tailscale-Version', '1.102.5-fake')
    const asksOnly = ['ping', 'check-prefs', 'pintail/changes/preview'].includes(path)
    const isChange = request.method !== 'GET' && !asksOnly
    if (isChange && this.isReadOnly) return text(response, 403, `${path} access denied`)
    return this.#route(`${request.method} ${path}`, url, body, response)
  }

  #route(route: string, url: URL, body: unknown, response: ServerResponse): ServerResponse {
    switch (route) {
      case 'GET status':
        return json(response, this.status(url.searchParams.get('peers') !== 'false'))
      case 'GET prefs':
        return json(response, this.prefs)
      case 'PATCH prefs':
        this.#edit(body as MaskedPrefs)
        return json(response, this.prefs)
      case 'POST check-prefs':
        return json(response, {})
      case 'POST start':
        this.#start(body as StartOptions)
        return text(response, 204, '')
      case 'POST login-interactive':
        this.authUrl = this.signInUrl
        this.notify({ BrowseToURL: this.signInUrl })
        return text(response, 204, '')
      case 'POST logout':
        this.prefs = { ...this.prefs, WantRunning: false, LoggedOut: true }
        this.notify({ Prefs: this.prefs })
        this.setState('NeedsLogin')
        return text(response, 204, '')
      case 'GET watch-ipn-bus':
        return this.#watch(Number(url.searchParams.get('mask') ?? 0), response)
      case 'POST ping':
        return json(response, this.#ping(url.searchParams.get('ip') ?? ''))
      case 'POST set-use-exit-node-enabled':
        this.#toggleExit(url.searchParams.get('enabled') === 'true')
        return json(response, this.prefs)
      case 'GET dns-query':
        if (!this.answersNames) return json(response, { Bytes: '', Resolvers: [] })
        return json(response, { Bytes: Buffer.from(namesAnswer).toString('base64'), Resolvers: [] })
      case 'GET derpmap':
        return json(response, null)
      case 'GET pintail/features':
        if (!this.isStock) return json(response, { version: '0.1.0', extension: 1, features: ['paths'] })
        break
      case 'GET pintail/paths':
        if (!this.isStock) return json(response, this.paths)
        break
    }
    const answer = this.isStock ? undefined : this.routes.answer(route, body)
    if (answer === undefined) return text(response, 404, '404 page not found')
    return answer.status === undefined
      ? json(response, answer.body)
      : text(response, answer.status, String(answer.body))
  }

  #edit(masked: MaskedPrefs): void {
    const before = this.prefs
    const changes = Object.fromEntries(
      Object.entries(masked).filter(([key]) => (masked as Record<string, unknown>)[`${key}Set`] === true),
    ) as Partial<Prefs>
    this.prefs = { ...before, ...changes }
    this.notify({ Prefs: this.prefs })
    if (changes.WantRunning === undefined || changes.WantRunning === before.WantRunning) return
    if (this.state !== 'NeedsLogin') this.setState(changes.WantRunning ? 'Running' : 'Stopped')
  }

  #toggleExit(enabled: boolean): void {
    const { ExitNodeID, InternalExitNodePrior } = this.prefs
    const [now, prior] = enabled ? [InternalExitNodePrior, ''] : ['', ExitNodeID]
    this.prefs = { ...this.prefs, ExitNodeID: now, InternalExitNodePrior: prior, AutoExitNode: '' }
    this.notify({ Prefs: this.prefs })
  }

  #start({ UpdatePrefs, AuthKey }: StartOptions): void {
    if (UpdatePrefs) this.prefs = { ...UpdatePrefs, Config: this.prefs.Config }
    this.notify({ Prefs: this.prefs })
    if (AuthKey === undefined) return
    if (this.keyRefusal !== undefined) {
      this.notify({ ErrMessage: this.keyRefusal })
      return
    }
    this.finishSignIn()
  }

  finishSignIn(): void {
    this.authUrl = ''
    this.notify({ LoginFinished: {} })
    this.setState('Starting')
    this.notify({ NetMap: this.#netMap(), ...(this.self === null ? {} : { SelfChange: this.self }) })
    this.setState('Running')
  }

  #ping(ip: string): PingResult {
    const node = [...this.nodes.values()].find((peer) => peer.Addresses?.some((prefix) => prefix.startsWith(`${ip}/`)))
    const base: PingResult = {
      IP: ip,
      NodeIP: ip,
      NodeName: node?.Name ?? '',
      Err: node === undefined ? 'no matching peer' : '',
      LatencySeconds: 0.0123,
      Endpoint: '203.0.113.7:41641',
      PeerRelay: '',
      DERPRegionID: 0,
      DERPRegionCode: '',
    }
    return { ...base, ...this.pingAnswers[node?.StableID ?? ''] }
  }

  #watch(mask: number, response: ServerResponse): ServerResponse {
    const watcher = { response, mask }
    this.#watchers.add(watcher)
    response.on('close', () => this.#watchers.delete(watcher))
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.flushHeaders()
    const first: Partial<Notify> = {}
    if (mask & watchMask.initialState) {
      Object.assign(first, { SessionID: '0123456789abcdef', State: ipnStateNumber(this.state) })
      if (this.state === 'NeedsLogin' && this.authUrl !== '') first.BrowseToURL = this.authUrl
    }
    if (mask & watchMask.initialPrefs) first.Prefs = this.prefs
    if (mask & watchMask.initialNetMap && this.self !== null && this.state !== 'NeedsLogin')
      Object.assign(first, { NetMap: this.#netMap(), SelfChange: this.self })
    if (mask & watchMask.initialSuggestedExitNode && this.suggestedExitNode !== '')
      first.SuggestedExitNode = this.suggestedExitNode
    if (mask & watchMask.initialHealthState) first.Health = { Warnings: null }
    if (Object.keys(first).length > 0) this.#send(watcher, first)
    return response
  }

  #netMap(): LegacyNetMap | null {
    if (this.self === null) return null
    return {
      Cached: false,
      SelfNode: this.self,
      AllCaps: null,
      NodeKey: this.self.Key,
      MachineKey: `mkey:${'0'.repeat(64)}`,
      Peers: [...this.nodes.values()],
      DNS: {},
      PacketFilter: null,
      PacketFilterRules: null,
      SSHPolicy: null,
      CollectServices: false,
      DERPMap: this.derpMap,
      DisplayMessages: null,
      TKAEnabled: false,
      TKAHead: '',
      Domain: 'home.example',
      DomainAuditLogID: '',
      UserProfiles: Object.fromEntries(this.users.map((user) => [String(user.ID), user])),
    }
  }

  status(withPeers: boolean): Status {
    const suffix = this.self?.Name.split('.').slice(1).join('.').replace(/\.$/, '') ?? ''
    const isIn = this.self !== null && this.state !== 'NeedsLogin'
    return {
      Version: '1.102.5-fake',
      TUN: true,
      BackendState: this.state,
      HaveNodeKey: isIn,
      AuthURL: this.authUrl,
      TailscaleIPs: isIn ? bare(this.self) : null,
      Self: this.#peerStatus(this.self),
      Health: null,
      MagicDNSSuffix: suffix,
      CurrentTailnet: isIn ? { Name: 'home.example', MagicDNSSuffix: suffix, MagicDNSEnabled: true } : null,
      CertDomains: null,
      Peer: withPeers
        ? Object.fromEntries([...this.nodes.values()].map((node) => [node.Key, this.#peerStatus(node)]))
        : null,
      User: Object.fromEntries(this.users.map((user) => [String(user.ID), user])),
      ClientVersion: null,
    }
  }

  #peerStatus(node: Node | null): PeerStatus {
    const path = node === null ? undefined : this.paths[node.StableID]
    const isActive = path !== undefined && path.kind !== 'idle' && path.kind !== 'none'
    return {
      ID: node?.StableID ?? '',
      NodeID: node?.ID ?? 0,
      PublicKey: node?.Key ?? (`nodekey:${'0'.repeat(64)}` as NodeKeyText),
      HostName: node?.Hostinfo?.Hostname ?? '',
      DNSName: node?.Name ?? '',
      OS: node?.Hostinfo?.OS ?? 'linux',
      UserID: node?.User ?? 0,
      TailscaleIPs: bare(node),
      Addrs: node?.Endpoints ?? null,
      CurAddr: path?.kind === 'direct' ? path.endpoint : '',
      Relay: path?.derpRegionCode || (node === null ? '' : 'fra'),
      PeerRelay: path?.kind === 'peer-relay' ? `${path.endpoint}:vni:7` : '',
      RxBytes: 0,
      TxBytes: 0,
      Created: node?.Created ?? '0001-01-01T00:00:00Z',
      LastWrite: '0001-01-01T00:00:00Z',
      LastSeen: node?.LastSeen ?? '0001-01-01T00:00:00Z',
      LastHandshake: '0001-01-01T00:00:00Z',
      Online: node?.Online ?? false,
      ExitNode: false,
      ExitNodeOption: node?.AllowedIPs?.includes('0.0.0.0/0') ?? false,
      Active: isActive,
      PeerAPIURL: null,
      TaildropTarget: 0,
      NoFileSharingReason: '',
      InNetworkMap: true,
      InMagicSock: true,
      InEngine: isActive,
    }
  }
}

/** A reply's header: no error, nothing inside. */
const namesAnswer = [0, 0, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]

function silence(): Notify {
  return {
    Version: '1.102.5-fake',
    ErrMessage: null,
    LoginFinished: null,
    State: null,
    Prefs: null,
    NetMap: null,
    Engine: null,
    BrowseToURL: null,
    DriveShares: null,
  }
}

function bare(node: Node | null): string[] | null {
  return node?.Addresses?.map((prefix) => prefix.replace(/\/\d+$/, '')) ?? null
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part)
  const body = Buffer.concat(parts).toString('utf8')
  return body === '' ? undefined : JSON.parse(body)
}

function json(response: ServerResponse, value: unknown): ServerResponse {
  response.writeHead(200, { 'Content-Type': 'application/json' })
  return response.end(JSON.stringify(value))
}

function text(response: ServerResponse, status: number, body: string): ServerResponse {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' })
  return response.end(body)
}
