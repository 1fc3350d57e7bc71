/**
 * Signing in at the current profile's coordination server and staying in touch with it: opens the link, and turns what
 * it reports into changes of the {@link Core}. Not the protocol (`control.ts`). [docs/rules/localapi.md LA-5]
 */
import type { UserProfile } from '../../src-contract/control/map.ts'
import { idText } from '../../src-contract/ids.ts'
import type { Netmap, NetmapDelta } from '../../src-protocol/machines/netmap.ts'
import { Secret } from '../../src-protocol/wire/keys.ts'
import { checkAuthUrl } from './auth-url.ts'
import type { ControlLink, ControlProblem, OpenControl } from './control-port.ts'
import type { Core } from './core.ts'
import { legacyNetMap } from './legacy-netmap.ts'
import { netmapEvent } from './netmap-event.ts'
import { magicDnsSuffix } from './node-text.ts'
import { samePrefs } from './prefs-edit.ts'

export const DEFAULT_CONTROL_URL = 'https://controlplane.tailscale.com'
/** A server that is just starting gets this long before a person who waits is told. */
const UNREACHABLE_PATIENCE_MS = 8_000
const KEY_AT_WORK_MS = 10_000
/** Streams end and begin again all the time; nobody needs to hear of that. */
const OUT_OF_TOUCH_MS = 15_000

export class ControlSession {
  readonly #core: Core
  readonly #openControl: OpenControl
  #link: ControlLink | undefined
  /** Counts links, so that a late word of an old one is not taken for the new one's. */
  #age = 0
  #failingSinceMs: number | undefined
  /** The link tries on and on; a person hears of one trouble once. */
  #toldTrouble = ''
  #lastTrouble = ''
  #outOfTouchTimer: NodeJS.Timeout | undefined
  /** A key is at work, or has been just now. */
  #keyGivenAtMs = Number.NEGATIVE_INFINITY
  /** That key, while a signed-in profile may still ask for a new identity with it (`up --force-reauth --auth-key`). */
  #keyForRenewal: string | undefined

  constructor(core: Core, openControl: OpenControl) {
    this.#core = core
    this.#openControl = openControl
    core.onSelf = () => this.update()
    if (core.o.certificates !== undefined) {
      core.o.certificates.ask = async (request) => {
        if (this.#link === undefined) throw new Error('not connected to a network')
        return this.#link.certificate(request)
      }
    }
  }

  /** Signs in without a person where that is possible: with the key given, or with the node key we have. */
  async begin(authKey: string): Promise<void> {
    const { prefs, nodeKey } = this.#core.profiles.current
    const mayLogin = authKey !== '' || (nodeKey !== undefined && prefs.WantRunning && !prefs.LoggedOut)
    this.#core.authCantContinue = !mayLogin
    if (mayLogin) {
      await this.#core.saveOrRefuse(() => this.#ensureNodeKey())
      this.#link ??= this.#open()
      if (authKey !== '') this.#keyGivenAtMs = this.#core.o.wallMs()
      this.#keyForRenewal = authKey !== '' && nodeKey !== undefined ? authKey : undefined
      this.#link.login({ authKey, interactive: false })
    }
    this.#core.evaluate()
  }

  async loginInteractive(): Promise<void> {
    const core = this.#core
    if (core.authUrl !== '') {
      core.bus.tell({ BrowseToURL: core.authUrl })
      return
    }
    // `up` orders this also when it brought a key, which must not be thrown away for a page.
    if (core.o.wallMs() - this.#keyGivenAtMs < KEY_AT_WORK_MS) {
      const authKey = this.#keyForRenewal
      this.#keyForRenewal = undefined
      if (authKey !== undefined) this.#link?.login({ authKey, interactive: true })
      return
    }
    await core.saveOrRefuse(() => this.#ensureNodeKey())
    core.blocked = true
    core.authCantContinue = false
    this.#link ??= this.#open()
    this.#link.login({ authKey: '', interactive: true })
    core.evaluate()
  }

  /** Tells the server; answers when it was told or could not be. */
  async logout(): Promise<void> {
    const link = this.#link ?? this.#open()
    try {
      await link.logout()
    } catch (error) {
      this.#core.o.log.warn('logout-not-told', { error })
    }
    this.stop()
  }

  update(): void {
    this.#link?.update(this.#core.nodeFacts())
  }

  networkChanged(): void {
    this.#link?.networkChanged()
  }

  stop(): void {
    this.#age++
    this.#keyGivenAtMs = Number.NEGATIVE_INFINITY
    this.#keyForRenewal = undefined
    this.#link?.close()
    this.#link = undefined
    this.#isReachable()
  }

  /** No server hears of a key that is not on disk. */
  async #ensureNodeKey(): Promise<void> {
    const { profiles, o } = this.#core
    if (profiles.current.nodeKey === undefined) {
      await profiles.updateCurrent({ nodeKey: new Secret(o.crypto.newPrivateKey()) })
    } else if (profiles.isUnsaved) {
      await profiles.save()
    }
  }

  #open(): ControlLink {
    const { profiles } = this.#core
    const profile = profiles.current
    const age = ++this.#age
    const isCurrent = (): boolean => age === this.#age && !this.#core.isClosed
    this.#failingSinceMs = undefined
    this.#toldTrouble = ''
    return this.#openControl({
      serverUrl: profile.prefs.ControlURL === '' ? DEFAULT_CONTROL_URL : profile.prefs.ControlURL,
      machineKey: profiles.machineKey,
      nodeKey: profile.nodeKey,
      oldNodeKey: profile.oldNodeKey,
      facts: this.#core.nodeFacts(),
      ephemeral: false,
      events: {
        onNetmap: (netmap, delta) => {
          if (isCurrent()) this.#onNetmap(netmap, delta)
        },
        onAuthUrl: (url) => {
          if (isCurrent()) this.#onAuthUrl(url)
        },
        onAuthenticated: ({ user }) => {
          if (isCurrent()) void this.#core.serial(() => (isCurrent() ? this.#onAuthenticated(user) : Promise.resolve()))
        },
        onNodeKey: (nodeKey, oldNodeKey) =>
          this.#core.serial(async () => {
            if (isCurrent()) await profiles.updateCurrent({ nodeKey, oldNodeKey })
          }),
        onNeedsLogin: (reason) => {
          if (isCurrent()) this.#onNeedsLogin(reason)
        },
        onError: (problem) => {
          if (isCurrent()) this.#onError(problem)
        },
        onMapPoll: (inPoll) => {
          if (isCurrent()) this.#onMapPoll(inPoll)
        },
      },
    })
  }

  #onAuthUrl(url: string): void {
    const core = this.#core
    this.#keyGivenAtMs = Number.NEGATIVE_INFINITY
    const checked = checkAuthUrl(url, core.profiles.current.prefs.ControlURL)
    if (checked === undefined) {
      core.bus.tell({ ErrMessage: 'the coordination server sent a sign-in address that must not be opened' })
      return
    }
    core.authUrl = checked
    core.blocked = true
    core.authCantContinue = true
    core.evaluate()
    core.bus.tell({ BrowseToURL: checked })
  }

  async #onAuthenticated(user: UserProfile): Promise<void> {
    const core = this.#core
    const { profiles } = core
    core.authUrl = ''
    core.blocked = false
    core.authCantContinue = false
    this.#isReachable()
    const { id, prefs: before, user: knownUser } = profiles.current
    const prefs = {
      ...before,
      WantRunning: true,
      LoggedOut: false,
      ControlURL: before.ControlURL === '' ? DEFAULT_CONTROL_URL : before.ControlURL,
    }
    const isNews = id === '' || !samePrefs(before, prefs)
    await core.noteOrWarn(() => profiles.noteLogin({ user: user.LoginName === '' ? knownUser : user, prefs }))
    core.bus.tell({ LoginFinished: {}, ...(isNews ? { Prefs: core.prefs } : {}) })
    core.evaluate()
  }

  #onNetmap(netmap: Netmap, delta: NetmapDelta): void {
    const core = this.#core
    this.#isReachable()
    core.setNetmap(netmap, delta)
    core.bus.publish(netmapEvent(netmap, delta, () => legacyNetMap(netmap)))
    if (delta.full || delta.selfChanged) void core.serial(() => this.#noteSelf(netmap))
  }

  /** What the profile list shows without a netmap. */
  async #noteSelf(netmap: Netmap): Promise<void> {
    const { profiles } = this.#core
    const { user, nodeId, network } = profiles.current
    const next = {
      user: user.LoginName === '' ? (netmap.userProfiles.get(idText(netmap.self.User)) ?? user) : user,
      nodeId: netmap.self.StableID,
      network: {
        MagicDNSName: magicDnsSuffix(netmap.self.Name),
        DomainName: netmap.domain,
        DisplayName: netmap.domain,
      },
    }
    const isSame =
      next.user === user && next.nodeId === nodeId && JSON.stringify(next.network) === JSON.stringify(network)
    if (!isSame) await this.#core.noteOrWarn(() => profiles.noteCurrent(next))
  }

  #onNeedsLogin(reason: string): void {
    this.#core.o.log.info('needs-login', { reason })
    this.#keyGivenAtMs = Number.NEGATIVE_INFINITY
    this.#core.authCantContinue = true
    this.#core.evaluate()
  }

  #onError(problem: ControlProblem): void {
    const core = this.#core
    if (problem.text !== this.#lastTrouble) core.o.log.warn('control', { kind: problem.kind, text: problem.text })
    if (problem.kind === 'refused' || problem.kind === 'unsupported-version') {
      this.#keyGivenAtMs = Number.NEGATIVE_INFINITY
      core.authCantContinue = true
      core.blocked = false
      core.bus.tell({ ErrMessage: problem.text })
      core.evaluate()
      return
    }
    this.#lastTrouble = problem.text
    if (core.netmap !== undefined) {
      this.#isOutOfTouch()
      return
    }
    core.health.set('control-unreachable', problem.text)
    const now = core.o.wallMs()
    this.#failingSinceMs ??= now
    const isPatient = problem.kind === 'unreachable' || problem.kind === 'other'
    if (isPatient && now - this.#failingSinceMs < UNREACHABLE_PATIENCE_MS) return
    if (problem.text === this.#toldTrouble) return
    this.#toldTrouble = problem.text
    core.bus.tell({ ErrMessage: problem.text })
  }

  #onMapPoll(inPoll: boolean): void {
    if (inPoll) this.#isReachable()
    else this.#isOutOfTouch()
  }

  #isOutOfTouch(): void {
    this.#outOfTouchTimer ??= setTimeout(() => {
      this.#core.health.set('control-unreachable', this.#lastTrouble || 'it ended the connection')
    }, OUT_OF_TOUCH_MS).unref()
  }

  #isReachable(): void {
    this.#failingSinceMs = undefined
    this.#lastTrouble = ''
    clearTimeout(this.#outOfTouchTimer)
    this.#outOfTouchTimer = undefined
    this.#core.health.clear('control-unreachable')
  }
}
