/** What the window and the tray can ask of the daemon. Each returns when the daemon took it; the result comes by the bus. */
import type { PingAnswer } from '../src-contract/bridge.ts'
import type { PingType } from '../src-contract/localapi/ping.ts'
import { defaultPrefs, type Prefs } from '../src-contract/localapi/prefs.ts'
import { AppError } from './app-error.ts'
import type { MeasuredPing } from './link/app-view.ts'
import type { DaemonLink } from './link/daemon-link.ts'
import { pingAnswer } from './ping-and-sign-in.ts'

const PING_TIMEOUT_MS = 8000

export class Commands {
  readonly #link: DaemonLink
  readonly #pings = new Map<string, MeasuredPing>()
  readonly #onPing: () => void

  constructor(link: DaemonLink, onPing: () => void) {
    this.#link = link
    this.#onPing = onPing
  }

  /** Latest answer of each device. */
  get pings(): ReadonlyMap<string, MeasuredPing> {
    return this.#pings
  }

  async setConnected(on: boolean): Promise<void> {
    await this.#link.client.editPrefs({ WantRunning: on, WantRunningSet: true })
  }

  /** The sign-in page's address arrives by the bus. */
  async signInByBrowser(controlUrl: string): Promise<void> {
    await this.#startLogin(controlUrl, undefined)
    await this.#link.client.loginInteractive()
  }

  async signInByKey(controlUrl: string, key: string): Promise<void> {
    if (/\*{2,}/.test(key)) throw new AppError('bad-request', 'masked-key')
    await this.#startLogin(controlUrl, key.trim())
    const { HaveNodeKey } = await this.#link.client.status({ peers: false })
    if (HaveNodeKey !== true) await this.#link.client.loginInteractive()
  }

  async #startLogin(controlUrl: string, key: string | undefined): Promise<void> {
    const current: Prefs = { ...defaultPrefs(), ...(await this.#link.client.prefs()) }
    const wanted = { ...current, ControlURL: controlUrl || current.ControlURL, WantRunning: true, LoggedOut: false }
    const objection = await this.#link.client.checkPrefs(wanted)
    if (objection !== undefined) throw new AppError('daemon', objection)
    await this.#link.client.start({ UpdatePrefs: wanted, ...(key === undefined ? {} : { AuthKey: key }) })
  }

  async cancelSignIn(): Promise<void> {
    await this.#link.client.editPrefs({ WantRunning: false, WantRunningSet: true })
  }

  async signOut(): Promise<void> {
    await this.#link.client.logout()
  }

  async ping(id: string, type: PingType): Promise<PingAnswer> {
    const node = [...this.#link.state.mirror.peers.values()].find((peer) => peer.StableID === id)
    const address = node?.Addresses?.[0]?.replace(/\/\d+$/, '')
    if (address === undefined) throw new AppError('not-found', '')
    const result = await this.#link.client.ping(address, type, { signal: AbortSignal.timeout(PING_TIMEOUT_MS) })
    if (result.Err !== '') throw new AppError('daemon', result.Err)
    const answer = pingAnswer(result)
    this.#pings.set(id, { ...answer, atMs: Date.now() })
    this.#onPing()
    return answer
  }
}
