/**
 * The one truth that the daemon's parts share: current profile, netmap, sign-in situation, state; and the rule that
 * the data plane follows the state. It reports to the watchers. Who changes the sign-in: `control-session.ts`; what
 * clients may order: `backend.ts`. [docs/rules/localapi.md LA-5]
 */
import type { Node } from '../../src-contract/control/map.ts'
import type { PrefixText, StableNodeId } from '../../src-contract/ids.ts'
import { watchMask } from '../../src-contract/localapi/notify.ts'
import type { Prefs } from '../../src-contract/localapi/prefs.ts'
import { type IpnStateName, ipnStateNumber } from '../../src-contract/localapi/state.ts'
import { isSelfExpired, type Netmap, type NetmapDelta } from '../../src-protocol/machines/netmap.ts'
import type { Crypto } from '../../src-protocol/wire/crypto.ts'
import { errorText, type Log } from '../io/log/log.ts'
import type { RouterResult } from '../io/router/port.ts'
import type { Bypass } from './bypass/bypass.ts'
import type { Certificates } from './certificates/certificates.ts'
import type { NodeFacts } from './control-port.ts'
import type { DnsService, DnsTroubles } from './dns/dns-service.ts'
import { dnsWishesOf } from './dns/dns-wishes.ts'
import { buildEngineStatus } from './engine-status.ts'
import { Health, type HealthCode } from './health.ts'
import { buildHostinfo, type HostFacts } from './hostinfo.ts'
import { keyExpiryMs } from './node-text.ts'
import { NotifyBus } from './notify-bus.ts'
import type { PeerRuntime } from './peer-runtime.ts'
import type { PeerApi } from './peerapi/peer-api.ts'
import type { DataPlane } from './plane-port.ts'
import { prefsWithConfig } from './profile.ts'
import type { Profiles } from './profiles.ts'
import { HomeWatch } from './routing/home-watch.ts'
import { Routing } from './routing/routing.ts'
import { type OwnRouting, plainOwnRouting, type RoutingWish } from './routing/wish.ts'
import type { Serve } from './serve/serve.ts'
import { isConfigured, nextState } from './state-machine.ts'
import type { Taildrop } from './taildrop/taildrop.ts'

const ENGINE_POLL_MS = 2_000
const APPLIED_PATIENCE_MS = 3_000
const SUGGEST_WAIT_MS = 1_000
const SAVE_RETRY_MS = 10_000
const DEFAULT_ROUTES: readonly PrefixText[] = ['0.0.0.0/0', '::/0']
const NO_RELAY_PATIENCE_MS = 10_000
/** Timers beyond 24 days fire at once; a key may live for months. */
const MAX_EXPIRY_WAIT_MS = 3_600_000

export interface CoreOptions {
  readonly version: string
  readonly profiles: Profiles
  readonly plane: DataPlane
  readonly crypto: Crypto
  readonly hostFacts: HostFacts
  /** Absent: nobody answers names. */
  readonly dns?: DnsService
  /** Absent: peers have nothing to ask here. */
  readonly peerApi?: PeerApi
  /** Undefined where peers do not reach ports of ours. */
  readonly serve?: Serve
  readonly certificates?: Certificates
  /** Absent: no files come or go. */
  readonly taildrop?: Taildrop
  /** Absent: everything takes the exit node. */
  readonly bypass?: Bypass
  readonly wallMs: () => number
  readonly random01: () => number
  /** Why there is none although one was asked for. */
  readonly noInterface?: string | undefined
  readonly log: Log
}

/** A refusal that is the caller's to read. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
}

export class Core {
  readonly o: CoreOptions
  readonly bus: NotifyBus
  readonly health: Health
  readonly profiles: Profiles
  readonly plane: DataPlane
  readonly routing: Routing
  readonly #home: HomeWatch
  netmap: Netmap | undefined
  /** The page where a person has to sign in, or "". */
  authUrl = ''
  /** See `StateFacts`. */
  blocked = false
  authCantContinue = true
  /** As told to the watchers last; "" for none. */
  suggestedExitNode: StableNodeId = ''
  /** Our endpoints or network facts are new. */
  onSelf: () => void = () => {}
  /** Somebody has signed in to the network around us: whatever waits between tries may try at once. */
  onPortalGone: () => void = () => {}
  #state: IpnStateName = 'NoState'
  #routerReady = false
  #closed = false
  #commands: Promise<unknown> = Promise.resolve()
  #engineTimer: NodeJS.Timeout | undefined
  #expiryTimer: NodeJS.Timeout | undefined
  #relayTimer: NodeJS.Timeout | undefined
  #suggestTimer: NodeJS.Timeout | undefined
  readonly #saveTimer: NodeJS.Timeout

  constructor(options: CoreOptions) {
    this.o = options
    this.profiles = options.profiles
    this.plane = options.plane
    this.bus = new NotifyBus(options.version)
    this.health = new Health(options.wallMs)
    this.health.onChange = () => this.bus.publish({ kind: 'health', warnings: this.health.warnings() })
    this.routing = new Routing({ plane: this.plane, health: this.health, random01: options.random01 })
    this.#home = new HomeWatch({
      network: () => this.plane.network,
      ownInterface: this.plane.tunName,
      pathOf: ({ node }) => this.plane.pathOf(node),
      probe: ({ node }) => this.plane.probe(node),
      onHome: (home) => {
        this.routing.home = home
        this.o.log.info('at-home', { ...home })
        this.configure(undefined)
      },
      onConflicts: (texts) => this.routing.tellConflicts(texts),
    })
    this.bus.onAudience = () => this.#pollEngine()
    this.#saveTimer = setInterval(() => void this.saveLate(), SAVE_RETRY_MS)
    this.#saveTimer.unref()
    options.plane.events = {
      onSelf: () => {
        this.onSelf()
        this.#suggestSoon()
        this.#watchPortal()
      },
      onLinks: () => {
        this.evaluate()
        this.#watchRelays()
        this.#watchWidths()
      },
      onRouter: (result) => this.#onRouter(result),
      onSockets: (problem) => {
        if (problem === undefined) this.health.clear('no-sockets')
        else this.health.set('no-sockets', problem)
      },
      onPeerSession: (peer, session) => this.#tellPeerSession(peer, session),
    }
    if (options.peerApi !== undefined) {
      options.peerApi.onPorts = () => {
        this.configure(undefined)
        this.onSelf()
      }
    }
    const { bypass, dns, taildrop } = options
    if (taildrop !== undefined) {
      taildrop.tell = (fields) => this.bus.tell(fields)
      taildrop.view = () => ({ netmap: this.netmap, isRunning: this.state === 'Running' })
      this.bus.common = () => taildrop.common
    }
    if (dns !== undefined) {
      dns.onTroubles = (troubles) => this.#tellDnsTroubles(troubles)
      if (bypass !== undefined) dns.onAnswer = (bytes) => bypass.noteAnswer(bytes)
    }
    if (bypass !== undefined) bypass.onChange = () => this.configure(undefined)
    if (options.noInterface !== undefined) this.health.set('no-interface', options.noInterface)
    if (options.serve !== undefined) {
      options.serve.onTroubles = (text) => {
        if (text === '') this.health.clear('serve-port-taken')
        else this.health.set('serve-port-taken', text)
      }
    }
    const slow = options.plane.datapath()?.whyNotNative
    if (slow) this.health.set('slow-datapath', slow)
  }

  get state(): IpnStateName {
    return this.#state
  }

  get isClosed(): boolean {
    return this.#closed
  }

  get prefs(): Prefs {
    return prefsWithConfig(this.profiles.current)
  }

  /** What the current profile adds to the preferences. */
  get ownRouting(): OwnRouting {
    return { routesOff: this.profiles.current.routesOff, bypass: this.bypass?.current ?? plainOwnRouting.bypass }
  }

  tellPrefs(): void {
    this.bus.tell({ Prefs: this.prefs })
  }

  /** What control is told about this node. */
  nodeFacts(): NodeFacts {
    return {
      hostinfo: buildHostinfo({
        version: this.o.version,
        backendLogId: this.profiles.backendLogId,
        facts: this.o.hostFacts,
        prefs: this.profiles.current.prefs,
        netInfo: this.plane.netInfo,
        hasTun: this.plane.hasTun,
        services: this.o.peerApi?.services ?? [],
      }),
      endpoints: this.plane.endpoints,
      discoKey: this.plane.discoKey,
    }
  }

  setNetmap(netmap: Netmap, delta: NetmapDelta): void {
    this.netmap = netmap
    this.o.taildrop?.configure(netmap)
    this.health.setServerMessages(netmap.displayMessages, netmap.health)
    this.reconcileExit()
    const wasConfigured = isConfigured(this.#state)
    this.evaluate()
    if (wasConfigured && isConfigured(this.#state)) this.configure(delta)
    this.#armExpiry()
    this.#suggestSoon()
  }

  /** Another profile, another login: nothing of the old network remains. */
  forgetNetwork(): void {
    this.netmap = undefined
    this.o.taildrop?.configure(undefined)
    this.suggestedExitNode = ''
    this.authUrl = ''
    this.blocked = false
    this.health.setServerMessages(new Map(), [])
    this.routing.tellExit(undefined, this.profiles.current.prefs)
    this.#enter('NoState')
  }

  evaluate(): void {
    while (!this.#closed) {
      const next = nextState(this.#stateFacts())
      if (next === this.#state) return
      this.#enter(next)
    }
  }

  /** Gives the data plane what it works by; with a delta, only what that names. */
  configure(delta: NetmapDelta | undefined): void {
    const { nodeKey, prefs } = this.profiles.current
    if (this.netmap === undefined || nodeKey === undefined || !isConfigured(this.#state)) return
    this.plane.configure(
      {
        nodeKey,
        netmap: this.netmap,
        shieldsUp: prefs.ShieldsUp,
        wish: this.wishOf(this.netmap, prefs),
        peerApi: this.o.peerApi?.ports ?? [],
      },
      delta,
    )
    this.#configurePeerApi()
    void this.configureServe()
    if (this.#routerReady && (delta === undefined || meansNames(delta))) this.#configureDns()
    if (delta === undefined || meansRoutes(delta)) this.#followHome()
    void this.#followBypass()
  }

  networkChanged(): void {
    this.#home.networkChanged()
    this.bypass?.networkChanged()
    this.#followHome()
  }

  /** The preferences' exit choice follows the network. Answers whether it had to change. */
  reconcileExit(): boolean {
    const { netmap, profiles } = this
    if (netmap === undefined) return false
    const { prefs } = profiles.current
    const next = this.routing.reconcile(netmap, prefs)
    this.routing.tellExit(netmap, next)
    if (next === prefs) return false
    void this.noteOrWarn(() => profiles.noteCurrent({ prefs: next }))
    this.tellPrefs()
    this.onSelf() // the server is told which exit node is in use
    return true
  }

  /** What the current profile and these prefs ask of routing. */
  wishOf(netmap: Netmap, prefs: Prefs): RoutingWish {
    return this.routing.wish(netmap, prefs, this.ownRouting)
  }

  /** Whoever ordered something hears of it when the host is so, unless the host takes very long. */
  async applied(): Promise<void> {
    await this.#followBypass()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, APPLIED_PATIENCE_MS)
    })
    await Promise.race([this.plane.applied?.(), late])
    clearTimeout(timer)
  }

  /** Commands run one after another. */
  serial<T>(command: () => Promise<T>): Promise<T> {
    const done = this.#commands.then(command)
    this.#commands = done.catch(() => {}) // the caller hears of it
    return done
  }

  /** For what somebody asked for. Throws RefusedError. */
  async saveOrRefuse(save: () => Promise<unknown>): Promise<void> {
    try {
      await save()
      this.health.clear('state-not-saved')
    } catch (error) {
      this.health.set('state-not-saved', errorText(error))
      throw new RefusedError(`cannot save the state: ${errorText(error)}`, { cause: error })
    }
  }

  /** For what has happened already; tried again until it is saved. */
  async noteOrWarn(save: () => Promise<unknown>): Promise<void> {
    try {
      await save()
      this.health.clear('state-not-saved')
    } catch (error) {
      this.health.set('state-not-saved', errorText(error))
      this.o.log.error('state-not-saved', { error })
    }
  }

  /** Also after an order that the disk refused: a save that succeeds is how we learn that it has room again. */
  async saveLate(): Promise<void> {
    if (this.profiles.isUnsaved || this.health.has('state-not-saved')) await this.noteOrWarn(() => this.profiles.save())
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#saveTimer)
    clearInterval(this.#engineTimer)
    clearTimeout(this.#expiryTimer)
    clearTimeout(this.#relayTimer)
    clearTimeout(this.#suggestTimer)
    this.#home.close()
    this.bypass?.close()
    this.plane.deconfigure()
    await this.saveLate()
  }

  #stateFacts(): Parameters<typeof nextState>[0] {
    const { prefs, nodeKey } = this.profiles.current
    const { netmap } = this
    return {
      current: this.#state,
      storeBroken: false,
      wantRunning: prefs.WantRunning,
      loggedOut: prefs.LoggedOut,
      haveNodeKey: nodeKey !== undefined,
      blocked: this.blocked,
      authCantContinue: this.authCantContinue,
      self:
        netmap === undefined
          ? undefined
          : {
              keyExpired: isSelfExpired(netmap, this.o.wallMs()),
              machineAuthorized: netmap.self.MachineAuthorized === true, // false is left out on the wire
            },
      engineReady: this.#routerReady && (this.plane.liveLinks > 0 || !this.#hasRelays),
    }
  }

  #enter(next: IpnStateName): void {
    const before = this.#state
    if (next === before) return
    this.#state = next
    this.o.log.info('state', { from: before, to: next })
    if (isConfigured(next) && !isConfigured(before)) this.configure(undefined)
    if (!isConfigured(next) && isConfigured(before)) {
      this.#routerReady = false
      this.health.clear('captive-portal-detected')
      this.o.dns?.configure(undefined)
      this.o.peerApi?.configure(undefined)
      void this.configureServe()
      this.plane.deconfigure()
      this.#followHome()
    } else if (!isConfigured(next)) this.plane.deconfigure() // a killed daemon may have left the host closed
    if (next === 'Running') this.authUrl = ''
    const isExpired = next === 'NeedsLogin' && this.netmap !== undefined && isSelfExpired(this.netmap, this.o.wallMs())
    if (isExpired) this.health.set('key-expired')
    else this.health.clear('key-expired')
    this.#watchRelays()
    this.bus.tell({ State: ipnStateNumber(next) })
  }

  #onRouter(result: RouterResult): void {
    const wasReady = this.#routerReady
    this.#routerReady = result.kind === 'applied'
    this.routing.tellWarnings(result.kind === 'applied' ? result.warnings : [])
    if (this.#routerReady !== wasReady) {
      this.#configureDns()
      this.#configurePeerApi()
      void this.configureServe()
    }
    if (result.kind === 'conflict') {
      this.health.set('address-conflict', result.detail)
      this.bus.tell({ ErrMessage: `another network program is in the way: ${result.detail}` })
    } else this.health.clear('address-conflict')
    if (result.kind === 'failed') {
      this.health.set('router-failed', result.message)
      this.bus.tell({ ErrMessage: `cannot set addresses and routes: ${result.message}` })
    } else this.health.clear('router-failed')
    this.evaluate()
  }

  #followHome(): void {
    const { RouteAll } = this.profiles.current.prefs
    this.#home.follow(RouteAll && isConfigured(this.#state) ? this.netmap : undefined, this.ownRouting.routesOff)
  }

  get bypass(): Bypass | undefined {
    return this.o.bypass
  }

  #followBypass(): Promise<void> | undefined {
    const { prefs, bypass } = this.profiles.current
    const isUsed = isConfigured(this.#state) && (prefs.ExitNodeID !== '' || prefs.ExitNodeIP !== '')
    return this.bypass?.follow(bypass, isUsed)
  }

  /** Names point to addresses that are in place, or nowhere. */
  #configureDns(): void {
    const { netmap, o } = this
    const { prefs, bypass } = this.profiles.current
    if (!this.#routerReady || netmap === undefined) o.dns?.configure(undefined)
    else o.dns?.configure(dnsWishesOf(netmap, prefs, bypass, o.wallMs()))
  }

  /** Peers ask at addresses that are in place. */
  #configurePeerApi(): void {
    const { netmap, o } = this
    const { ShieldsUp, AdvertiseRoutes } = this.profiles.current.prefs
    const offersExitNode = DEFAULT_ROUTES.every((route) => AdvertiseRoutes?.includes(route) === true)
    const isReady = this.#routerReady && netmap !== undefined
    o.peerApi?.configure(isReady ? { netmap, shieldsUp: ShieldsUp, offersExitNode } : undefined)
  }

  /** Resolves when the ports are open, or are known to be taken. */
  async configureServe(): Promise<void> {
    const { serve, prefs } = this.profiles.current
    const netmap = this.#routerReady && isConfigured(this.#state) ? this.netmap : undefined
    this.o.certificates?.configure(this.netmap)
    await this.o.serve?.configure(netmap, prefs.ShieldsUp, serve)
  }

  #tellDnsTroubles({ forward, set, host, unasked }: DnsTroubles): void {
    const tell = (code: HealthCode, detail: string | undefined): void => {
      if (detail === undefined) this.health.clear(code)
      else this.health.set(code, detail)
    }
    tell('dns-forward-failing', forward)
    tell('dns-set-os-config-failed', set)
    tell('resolv-conf-overwritten', host?.kind === 'overwritten' ? host.detail : undefined)
    tell('dns-fight', host?.kind === 'fight' ? host.detail : undefined)
    tell('dns-not-asked', unasked)
  }

  /** Netmaps come in bursts, and looking through thousands of peers for nobody helps nobody. */
  #suggestSoon(): void {
    if (this.#suggestTimer !== undefined || this.#closed) return
    this.#suggestTimer = setTimeout(() => {
      this.#suggestTimer = undefined
      if (this.netmap === undefined) return
      if (this.reconcileExit()) this.configure(undefined)
      const suggestion = this.routing.suggest(this.netmap)
      const id = suggestion.kind === 'node' ? suggestion.node.StableID : ''
      if (id === this.suggestedExitNode) return
      this.suggestedExitNode = id
      this.bus.tell({ SuggestedExitNode: id })
    }, SUGGEST_WAIT_MS).unref()
  }

  /** Home relays come and go when networks change; only a longer absence is worth a row. */
  #watchRelays(): void {
    const isMissing = isConfigured(this.#state) && this.#hasRelays && this.plane.liveRelays === 0
    if (!isMissing || this.#closed) {
      clearTimeout(this.#relayTimer)
      this.#relayTimer = undefined
      this.health.clear('no-relay')
      return
    }
    this.#relayTimer ??= setTimeout(() => this.health.set('no-relay'), NO_RELAY_PATIENCE_MS).unref()
  }

  #watchPortal(): void {
    const wasThere = this.health.has('captive-portal-detected')
    if (this.plane.captivePortal === true) this.health.set('captive-portal-detected')
    else if (wasThere) {
      this.health.clear('captive-portal-detected')
      this.onPortalGone()
    }
  }

  #watchWidths(): void {
    const narrow = this.plane.narrowPeers ?? []
    if (narrow.length === 0) this.health.clear('path-too-narrow')
    else this.health.set('path-too-narrow', narrow.join('; '))
  }

  get #hasRelays(): boolean {
    return Object.keys(this.netmap?.derpMap?.Regions ?? {}).length > 0
  }

  #armExpiry(): void {
    clearTimeout(this.#expiryTimer)
    const expiry = this.netmap === undefined ? undefined : keyExpiryMs(this.netmap.self)
    if (expiry === undefined || this.#closed) return
    const waitMs = Math.min(Math.max(expiry - this.o.wallMs(), 0) + 100, MAX_EXPIRY_WAIT_MS)
    this.#expiryTimer = setTimeout(() => {
      this.evaluate()
      if (expiry > this.o.wallMs()) this.#armExpiry()
    }, waitMs)
    this.#expiryTimer.unref()
  }

  #tellPeerSession(peer: Node, session: PeerRuntime['session']): void {
    const at = new Date(this.o.wallMs()).toISOString()
    this.bus.publish({
      kind: 'peerState',
      peerState: { [peer.StableID]: { PeerWireGuardState: session, PeerWireGuardStateAt: at } },
    })
  }

  #pollEngine(): void {
    const isWanted = this.bus.hasMask(watchMask.engineUpdates) && !this.#closed
    if (isWanted === (this.#engineTimer !== undefined)) return
    clearInterval(this.#engineTimer)
    this.#engineTimer = undefined
    if (!isWanted) return
    const tell = (): void => this.bus.tell({ Engine: buildEngineStatus(this.netmap, this.plane) })
    this.#engineTimer = setInterval(tell, ENGINE_POLL_MS)
    this.#engineTimer.unref()
    setImmediate(tell) // not before the watcher's first message
  }
}

function meansRoutes(delta: NetmapDelta): boolean {
  return delta.full || delta.peersAdded.length + delta.peersChanged.length + delta.peersRemoved.length > 0
}

/** Whether names or their servers may have changed; who is online is not among it. */
function meansNames(delta: NetmapDelta): boolean {
  const peers = delta.peersAdded.length + delta.peersChanged.length + delta.peersRemoved.length
  return delta.full || delta.dnsChanged || delta.selfChanged || peers > 0
}
