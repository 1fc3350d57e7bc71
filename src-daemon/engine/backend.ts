/**
 * The daemon as clients see it: what they can ask, and what they can order. The truth itself is in `core.ts`, signing
 * in and the server in `control-session.ts`. [docs/rules/localapi.md LA-4, LA-5]
 */
import type { DerpMap } from '../../src-contract/control/map.ts'
import type { NodeKeyText, PrefixText } from '../../src-contract/ids.ts'
import type { BypassReport, BypassSetting, BypassSuggestion } from '../../src-contract/localapi/bypass.ts'
import type { AppliedChange, ChangePreview, ChangesReport } from '../../src-contract/localapi/changes.ts'
import type { PingResult } from '../../src-contract/localapi/ping.ts'
import type { DatapathReport, PathReports } from '../../src-contract/localapi/pintail.ts'
import type { LoginProfile, MaskedPrefs, Prefs } from '../../src-contract/localapi/prefs.ts'
import type { RouteExplanation, RouteQuestion } from '../../src-contract/localapi/route-explain.ts'
import type { ServeConfig } from '../../src-contract/localapi/serve.ts'
import type { IpnStateName } from '../../src-contract/localapi/state.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import type { SubnetRoutes, SubnetRoutesEdit } from '../../src-contract/localapi/subnet-routes.ts'
import type { Netmap } from '../../src-protocol/machines/netmap.ts'
import { toHex } from '../../src-protocol/wire/bytes.ts'
import { nodeKeyText } from '../../src-protocol/wire/keys.ts'
import type { FileOwner } from '../io/serve/file-servers.ts'
import type { Certificates } from './certificates/certificates.ts'
import { Changes } from './changes/changes.ts'
import type { ParsedChange } from './changes/parse-change.ts'
import type { OpenControl } from './control-port.ts'
import { ControlSession } from './control-session.ts'
import { Core, type CoreOptions, RefusedError } from './core.ts'
import type { DnsService } from './dns/dns-service.ts'
import { Explainer, type ExplainerParts, type ExplainOptions } from './explain/explainer.ts'
import { factsOf } from './explain/from-core.ts'
import { firstNotify } from './first-notify.ts'
import type { Health } from './health.ts'
import { hostNameOf } from './hostinfo.ts'
import { magicDnsSuffix } from './node-text.ts'
import type { Watcher } from './notify-bus.ts'
import { pingSelfOrPlane } from './ping-target.ts'
import type { DataPlane, PingOptions } from './plane-port.ts'
import { editPrefs, findPrefsProblems, samePrefs } from './prefs-edit.ts'
import { loginProfile } from './profile.ts'
import type { ProfileChange } from './profiles.ts'
import { EXIT_ROUTES, UNRESOLVED_AUTO } from './routing/exit-choice.ts'
import { applyRoutesEdit, subnetRoutes } from './routing/subnet-routes.ts'
import type { Suggestion } from './routing/suggest.ts'
import { buildStatus } from './status-builder.ts'
import type { Taildrop, TaildropView } from './taildrop/taildrop.ts'

export interface Advice {
  /** One sentence for a person. */
  readonly text: string
  /** Commands for root. */
  readonly fix: readonly string[]
}

/** Whether this host knows whom it is to trust, and does what it offers to others; undefined = all is well. */
export interface HostChecks {
  forwarding(advertised: readonly PrefixText[]): Promise<Advice | undefined>
  udpOffload(): Promise<Advice | undefined>
  hasUser(name: string): Promise<boolean>
}

export interface BackendOptions extends CoreOptions {
  readonly openControl: OpenControl
  /** A clock that nobody sets. */
  readonly nowMs: () => number
  readonly hostChecks?: HostChecks
  readonly explain?: ExplainerParts
}

export interface StartWish {
  /** All of them; null: as they are. */
  readonly UpdatePrefs: Prefs | null
  readonly AuthKey: string
  readonly byOperator?: boolean
}

export class Backend {
  readonly #core: Core
  readonly #control: ControlSession
  readonly #checks: HostChecks | undefined
  readonly #changes: Changes
  readonly #explainer: Explainer | undefined

  constructor(options: BackendOptions) {
    this.#core = new Core(options)
    this.#core.onPortalGone = () => this.networkChanged(true)
    this.#control = new ControlSession(this.#core, options.openControl)
    this.#checks = options.hostChecks
    this.#changes = new Changes({
      core: this.#core,
      nowMs: options.nowMs,
      take: (change, save) => this.#take(change, save),
      findProblem: async (prefs) => (await this.#findOperatorProblem(prefs))[0],
      forwarding: async (routes) => this.#checks?.forwarding(routes),
    })
    this.#explainer = options.explain && new Explainer(options.explain)
  }

  // Asked -----------------------------------------------------------------------------------------------------------

  get version(): string {
    return this.#core.o.version
  }

  get state(): IpnStateName {
    return this.#core.state
  }

  get netmap(): Netmap | undefined {
    return this.#core.netmap
  }

  get derpMap(): DerpMap | undefined {
    return this.#core.netmap?.derpMap
  }

  get health(): Health {
    return this.#core.health
  }

  get dns(): DnsService | undefined {
    return this.#core.o.dns
  }

  get taildrop(): Taildrop | undefined {
    return this.#core.o.taildrop
  }

  get taildropView(): TaildropView {
    return { netmap: this.#core.netmap, isRunning: this.#core.state === 'Running' }
  }

  get plane(): DataPlane {
    return this.#core.plane
  }

  /** Names this installation in logs. */
  get logId(): string {
    return this.#core.profiles.backendLogId
  }

  /** A place in the log that a person can search for. */
  logMarker(marker: string, note: string): void {
    this.#core.o.log.info('bug-report', { marker, note })
  }

  get prefs(): Prefs {
    return this.#core.prefs
  }

  status(withPeers: boolean): Status {
    const { profiles, plane, o } = this.#core
    const { prefs, nodeKey } = profiles.current
    return buildStatus({
      version: o.version,
      hasTun: plane.hasTun,
      state: this.#core.state,
      haveNodeKey: nodeKey !== undefined,
      nodeKey: this.#nodeKeyText(),
      authUrl: this.#core.authUrl,
      netmap: this.#core.netmap,
      prefs,
      hostName: hostNameOf(o.hostFacts, prefs),
      ownEndpoints: plane.endpoints.map((endpoint) => endpoint.address),
      homeRegion: plane.homeRegion,
      health: this.#core.health.texts(),
      wallMs: o.wallMs(),
      runtimeOf: (node) => plane.runtimeOf(node),
      withPeers,
    })
  }

  datapathReport(): DatapathReport | undefined {
    return this.#core.plane.datapath()
  }

  pathReports(): PathReports {
    return this.#core.plane.pathOfAll()
  }

  ping(options: PingOptions): Promise<PingResult> {
    const { plane, netmap, state, o } = this.#core
    return pingSelfOrPlane(plane, netmap, state === 'Running', o.wallMs(), options)
  }

  suggestExitNode(): Suggestion | undefined {
    const { netmap, routing } = this.#core
    return netmap === undefined ? undefined : routing.suggest(netmap)
  }

  subnetRoutes(): SubnetRoutes {
    const { netmap, routing, ownRouting, profiles } = this.#core
    const acceptsRoutes = profiles.current.prefs.RouteAll
    return subnetRoutes({ netmap, acceptsRoutes, off: ownRouting.routesOff, home: routing.home })
  }

  /** Where traffic goes. undefined: too many ask at once. */
  async explainRoute(
    question: RouteQuestion,
    { mayAsk, signal }: Pick<ExplainOptions, 'mayAsk' | 'signal'>,
  ): Promise<RouteExplanation | 'unavailable' | undefined> {
    if (this.#explainer === undefined) return 'unavailable'
    const facts = async () => factsOf(this.#core, this.subnetRoutes().Routes, await this.bypassReport())
    const ownDomain = magicDnsSuffix(this.#core.netmap?.self.Name ?? '')
    return this.#explainer.explain({ question, facts, dns: this.dns, ownDomain, mayAsk, signal })
  }

  /** undefined: there is no such user. */
  async uidOf(user: string): Promise<number | undefined | 'busy'> {
    return this.#explainer?.uidOf(user)
  }

  /** Why what this machine offers, or may be about to, would not work. */
  async checkForwarding(): Promise<Advice | undefined> {
    const { AdvertiseRoutes } = this.prefs
    return this.#checks?.forwarding(AdvertiseRoutes?.length ? AdvertiseRoutes : EXIT_ROUTES)
  }

  async checkUdpOffload(): Promise<Advice | undefined> {
    return this.#checks?.udpOffload()
  }

  get changes(): ChangesReport {
    return this.#changes.report
  }

  previewChange(change: ParsedChange): Promise<ChangePreview> {
    return this.#changes.preview(change)
  }

  watch(watcher: Watcher): () => void {
    const core = this.#core
    const sessionId = toHex(core.o.crypto.randomBytes(8))
    const first = firstNotify(core.o.version, watcher.mask, {
      state: core.state,
      authUrl: core.authUrl,
      prefs: core.prefs,
      netmap: core.netmap,
      health: core.health.warnings(),
      status: () => this.status(true),
      suggestedExitNode: core.suggestedExitNode,
      changes: this.#changes.report,
      sessionId,
    })
    if (first !== undefined) watcher.deliver({ ...first, ...core.bus.common() })
    const leave = core.bus.add(watcher)
    const endSession = core.o.serve?.openSession(sessionId, () => watcher.end?.())
    return () => {
      leave()
      endSession?.()
    }
  }

  currentProfile(): LoginProfile {
    return loginProfile(this.#core.profiles.current)
  }

  profileList(): LoginProfile[] {
    return this.#core.profiles.list()
  }

  findProfile(id: string): LoginProfile | undefined {
    const profile = this.#core.profiles.find(id)
    return profile === undefined ? undefined : loginProfile(profile)
  }

  /** undefined = these prefs would be accepted. */
  async checkPrefs(prefs: Prefs): Promise<string | undefined> {
    const context = { otherProfileNames: this.#core.profiles.otherNames() }
    const problems = [...findPrefsProblems(prefs, context), ...(await this.#findOperatorProblem(prefs))]
    return problems.length === 0 ? undefined : problems.join('\n')
  }

  /** A new one must exist; one that is set stays, whatever has become of the account. */
  async #findOperatorProblem({ OperatorUser: name = '' }: Prefs): Promise<string[]> {
    if (name === '' || name === this.#core.profiles.current.prefs.OperatorUser) return []
    if (this.#checks === undefined || (await this.#checks.hasUser(name))) return []
    return [`the operator must be a user of this machine; there is no ${JSON.stringify(name.slice(0, 64))}`]
  }

  // Ordered; each throws RefusedError -------------------------------------------------------------------------------

  /** At daemon start: go on where the last run ended. */
  resume(): Promise<void> {
    return this.#core.serial(async () => {
      await this.#changes.resume()
      await this.#control.begin('')
    })
  }

  /** Until it is confirmed it is to be taken back. Throws ChangeConflictError when another one waits. */
  applyChange(change: ParsedChange, withinMs: number): Promise<AppliedChange> {
    return this.#core.serial(() => this.#changes.apply(change, withinMs))
  }

  confirmChange(id: string): Promise<ChangesReport> {
    return this.#core.serial(() => this.#changes.confirm(id))
  }

  revertChange(id: string): Promise<ChangesReport> {
    return this.#core.serial(() => this.#changes.revert(id))
  }

  editPrefs(edit: MaskedPrefs): Promise<Prefs> {
    return this.#edit(edit, undefined)
  }

  /**
   * One switch for the exit node: off remembers the choice, on brings it back. Already so: nothing happens.
   */
  async toggleExitNode(enabled: boolean): Promise<Prefs> {
    const { ExitNodeID, ExitNodeIP, AutoExitNode, InternalExitNodePrior: prior } = this.#core.profiles.current.prefs
    const inUse = (AutoExitNode ?? '') !== '' ? UNRESOLVED_AUTO : ExitNodeID || ExitNodeIP
    if (enabled === (inUse !== '')) return this.prefs
    if (enabled && prior === '') throw new RefusedError('no prior exit node to enable')
    const chosen = enabled ? prior : ''
    const isAuto = chosen === UNRESOLVED_AUTO
    const edit = { ExitNodeID: chosen, ExitNodeIDSet: true, ExitNodeIPSet: true, AutoExitNodeSet: true }
    return this.#edit({ ...edit, ExitNodeIP: '', AutoExitNode: isAuto ? 'any' : '' }, enabled ? '' : inUse)
  }

  async bypassReport(): Promise<BypassReport> {
    const { bypass } = this.#core
    return (await bypass?.report()) ?? { Setting: this.#core.profiles.current.bypass, InEffect: [], Missing: [] }
  }

  async bypassSuggestions(): Promise<BypassSuggestion[]> {
    return (await this.#core.bypass?.suggestions()) ?? []
  }

  setBypass(setting: BypassSetting): Promise<BypassReport> {
    return this.#core.serial(async () => {
      await this.#take({ bypass: setting })
      return this.bypassReport()
    })
  }

  switchRoutes(edit: Required<SubnetRoutesEdit>): Promise<SubnetRoutes> {
    return this.#core.serial(async () => {
      const routesOff = applyRoutesEdit(this.#core.profiles.current.routesOff, edit)
      if (!routesOff.ok) throw new RefusedError(routesOff.reason)
      await this.#take({ routesOff: routesOff.value })
      return this.subnetRoutes()
    })
  }

  get certificates(): Certificates | undefined {
    return this.#core.o.certificates
  }

  get serveConfig(): ServeConfig {
    return this.#core.o.serve?.config ?? {}
  }

  /** `check` throws when the config is not any more what the caller has seen. */
  setServeConfig(next: ServeConfig, caller: FileOwner, check: (now: ServeConfig) => void): Promise<void> {
    return this.#core.serial(async () => {
      const { netmap, o, profiles } = this.#core
      if (o.serve === undefined) throw new RefusedError('nothing can be served without a network interface')
      check(o.serve.config)
      const isMore = Object.keys(next).length > 0
      const problem = isMore && netmap === undefined ? 'not connected to a network' : o.serve.problemOf(next, caller)
      if (problem !== undefined) throw new RefusedError(problem)
      const change = o.serve.changeTo(next, caller)
      await this.#core.saveOrRefuse(() => profiles.updateCurrent({ serve: change.kept }))
      o.serve.hold(change)
      await this.#core.configureServe()
    })
  }

  /**
   * The only way a control URL takes effect: everything begins anew. Prefs that name no operator end his rights, unless
   * he is who asks: he could not go on to sign in. [PV-8]
   */
  start(options: StartWish): Promise<void> {
    return this.#core.serial(async () => {
      const { profiles } = this.#core
      const { OperatorUser } = profiles.current.prefs
      const kept = options.byOperator && !options.UpdatePrefs?.OperatorUser && OperatorUser ? { OperatorUser } : {}
      const asked = { ...(options.UpdatePrefs ?? profiles.current.prefs), ...kept }
      const problem = await this.checkPrefs(asked)
      if (problem !== undefined) throw new RefusedError(problem)
      const wanted = { ...asked, Config: null, ...(options.AuthKey === '' ? {} : { LoggedOut: false }) }
      if (!samePrefs(wanted, profiles.current.prefs)) {
        const pendingChange = this.#changes.afterOtherEdit(wanted)
        await this.#core.saveOrRefuse(() => profiles.updateCurrent({ prefs: wanted, pendingChange }))
        this.#changes.noteOtherEdit(pendingChange)
      }
      await this.#restart(options.AuthKey)
    })
  }

  loginInteractive(): Promise<void> {
    return this.#core.serial(() => this.#control.loginInteractive())
  }

  logout(): Promise<void> {
    return this.#core.serial(async () => {
      const core = this.#core
      const { nodeKey, prefs } = core.profiles.current
      if (nodeKey === undefined) return
      await this.#control.logout()
      const blank = { ControlURL: prefs.ControlURL, LoggedOut: true }
      await core.noteOrWarn(() => core.profiles.noteLogout(blank))
      this.#changes.forget()
      await this.#restart('')
    })
  }

  /** Signs out of everything without telling a server. */
  resetAuth(): Promise<void> {
    return this.#core.serial(async () => {
      const { profiles } = this.#core
      for (const { ID } of profiles.list()) await this.#core.saveOrRefuse(() => profiles.delete(ID))
      await this.#core.saveOrRefuse(() => profiles.switchToBlank())
      this.#changes.forget()
      await this.#restart('')
    })
  }

  newProfile(): Promise<void> {
    return this.#core.serial(async () => {
      await this.#changes.leave()
      await this.#core.saveOrRefuse(() => this.#core.profiles.switchToBlank())
      await this.#restart('')
    })
  }

  switchProfile(id: string): Promise<'switched' | 'already-current' | 'not-found'> {
    return this.#core.serial(async () => {
      const { profiles } = this.#core
      if (id === profiles.current.id) return 'already-current'
      if (profiles.find(id) === undefined) return 'not-found'
      await this.#changes.leave()
      await this.#core.saveOrRefuse(() => profiles.switchTo(id))
      await this.#restart('')
      return 'switched'
    })
  }

  deleteProfile(id: string): Promise<void> {
    return this.#core.serial(async () => {
      const { profiles } = this.#core
      if (profiles.find(id) === undefined) return
      const isCurrent = profiles.current.id === id
      await this.#core.saveOrRefuse(() => profiles.delete(id))
      if (isCurrent) {
        this.#changes.forget()
        await this.#restart('')
      }
    })
  }

  networkChanged(isMajor: boolean): void {
    this.#core.plane.networkChanged(isMajor)
    this.#core.networkChanged()
    if (isMajor) this.#control.networkChanged()
    this.#core.o.dns?.networkChanged()
  }

  async close(): Promise<void> {
    this.#changes.close()
    this.#control.stop()
    await this.#core.close()
  }

  async #restart(authKey: string): Promise<void> {
    this.#control.stop()
    this.#core.forgetNetwork()
    await this.#changes.resume()
    this.#core.tellPrefs()
    await this.#control.begin(authKey)
  }

  #edit(edit: MaskedPrefs, exitNodePrior: string | undefined): Promise<Prefs> {
    return this.#core.serial(async () => {
      const { profiles } = this.#core
      const before = profiles.current.prefs
      const result = editPrefs(before, edit, { otherProfileNames: profiles.otherNames() })
      if (!result.ok) throw new RefusedError(result.message)
      const [problem] = await this.#findOperatorProblem(result.prefs)
      if (problem !== undefined) throw new RefusedError(problem)
      if (!result.changed) return this.prefs
      const prior = exitNodePrior === undefined ? {} : { InternalExitNodePrior: exitNodePrior }
      await this.#take({ prefs: { ...result.prefs, ...prior } })
      return this.prefs
    })
  }

  /** The one way in which settings of the current profile change by order: saved together, then in effect. */
  async #take(change: ProfileChange, save: 'or-refuse' | 'note' = 'or-refuse'): Promise<void> {
    const { profiles } = this.#core
    const before = profiles.current.prefs
    const isOwn = Object.hasOwn(change, 'pendingChange')
    const pendingChange = isOwn ? change.pendingChange : this.#changes.afterOtherEdit(change.prefs ?? before)
    const whole = { ...change, pendingChange }
    if (save === 'note') await this.#core.noteOrWarn(() => profiles.noteCurrent(whole))
    else await this.#core.saveOrRefuse(() => profiles.updateCurrent(whole))
    if (!isOwn) this.#changes.noteOtherEdit(pendingChange)
    await this.#follow(before, profiles.current.prefs)
  }

  /** What changed prefs mean for what runs. */
  async #follow(before: Prefs, after: Prefs): Promise<void> {
    if (samePrefs(before, after)) {
      this.#core.configure(undefined)
      return this.#core.applied()
    }
    if (after.WantRunning && !before.WantRunning) {
      await this.#control.begin('')
    } else if (!after.WantRunning && before.WantRunning) {
      this.#core.evaluate()
      this.#control.stop()
    } else {
      this.#core.reconcileExit()
      this.#control.update()
      this.#core.configure(undefined)
    }
    this.#core.tellPrefs()
    this.#core.evaluate()
    await this.#core.applied()
  }

  #nodeKeyText(): NodeKeyText | undefined {
    const key = this.#core.profiles.current.nodeKey
    return key === undefined ? undefined : nodeKeyText(this.#core.o.crypto.x25519PublicKey(key.expose()))
  }
}
