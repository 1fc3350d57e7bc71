/**
 * The bypass of the current profile, kept in step with what is around: networks of other VPNs come and go, names get
 * addresses. What it means for the host: the router. [docs/rules/bypass.md]
 */
import type { PrefixText } from '../../../src-contract/ids.ts'
import type { BypassReport, BypassSetting, BypassSuggestion } from '../../../src-contract/localapi/bypass.ts'
import type { ForeignInterface, ForeignRoutes } from '../../io/foreign-routes/port.ts'
import { errorText, type Log } from '../../io/log/log.ts'
import { plainRouterConfig, type RouterBypass } from '../../io/router/port.ts'
import type { UserAccounts } from '../../io/users/port.ts'
import { hostPrefixText } from '../node-text.ts'
import { LearnedNames } from './learned-names.ts'
import { mayPassWithInterface } from './may-pass.ts'

/** Routes can change without an address that does. */
const LOOK_EVERY_MS = 5_000
/** A name server may have a new address in each answer; each change of the host's rules costs far more than an answer. */
const REST_AFTER_NAME_MS = 100

export interface BypassParts {
  readonly routes: ForeignRoutes
  readonly accounts: UserAccounts
  readonly now: () => number
  readonly log: Log
}

export class Bypass {
  onChange: () => void = () => {}
  readonly #parts: BypassParts
  readonly #names = new LearnedNames()
  #setting: BypassSetting | undefined
  #isUsed = false
  #interfaces: readonly ForeignInterface[] = []
  #uids: ReadonlyMap<string, number> = new Map()
  #current: RouterBypass = plainRouterConfig.bypass
  #timer: NodeJS.Timeout | undefined
  #rest: NodeJS.Timeout | undefined
  #isNameDue = false
  #looking: Promise<void> | undefined
  #reading: Promise<readonly ForeignInterface[]> | undefined

  constructor(parts: BypassParts) {
    this.#parts = parts
  }

  /** The same object while nothing of it changed. */
  get current(): RouterBypass {
    return this.#current
  }

  /** `isUsed`: an exit node is wanted; without one there is nothing to go past. Resolves when it has looked around. */
  async follow(setting: BypassSetting, isUsed: boolean): Promise<void> {
    if (setting === this.#setting && isUsed === this.#isUsed) return
    this.#setting = setting
    this.#isUsed = isUsed
    clearInterval(this.#timer)
    this.#timer = undefined
    if (isUsed && setting.Interfaces.length + setting.Users.length + setting.Suffixes.length > 0) {
      this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS)
      this.#timer.unref()
    }
    await this.look()
  }

  /** What another setting would mean here and now; nothing changes. */
  async preview(setting: BypassSetting, isUsed: boolean): Promise<RouterBypass> {
    if (setting === this.#setting && isUsed === this.#isUsed) return this.#current
    if (!isUsed) return plainRouterConfig.bypass
    const interfaces = setting.Interfaces.length > 0 ? await this.#read() : []
    return this.#meaning(setting, interfaces, await this.#uidsOf(setting.Users))
  }

  networkChanged(): void {
    if (this.#isUsed) void this.look()
  }

  /** An answer that a program of this machine gets from our resolver. */
  noteAnswer(bytes: Uint8Array): void {
    const suffixes = this.#setting?.Suffixes ?? []
    if (!this.#isUsed || !this.#names.note(bytes, suffixes, this.#parts.now())) return
    if (this.#rest === undefined) this.#settleAndRest()
    else this.#isNameDue = true
  }

  /** The first of many at once, the others together. */
  #settleAndRest(): void {
    this.#isNameDue = false
    this.#settle()
    this.#rest = setTimeout(() => {
      this.#rest = undefined
      if (this.#isNameDue) this.#settleAndRest()
    }, REST_AFTER_NAME_MS).unref()
  }

  async report(): Promise<BypassReport> {
    await this.look()
    const setting = this.#setting ?? { Prefixes: [], Suffixes: [], Interfaces: [], Users: [], Cgroups: [] }
    const missing = [
      ...setting.Interfaces.filter((name) => this.#find(name) === undefined).map((name) => `interface ${name}`),
      ...setting.Users.filter((name) => !this.#uids.has(name)).map((name) => `user ${name}`),
    ]
    return {
      Setting: setting,
      InEffect: this.#isUsed ? this.#sources(setting, this.#interfaces) : [],
      Missing: missing,
    }
  }

  async suggestions(): Promise<BypassSuggestion[]> {
    const taken = new Set(this.#setting?.Interfaces)
    return (await this.#read())
      .map((face) => ({ ...face, prefixes: face.prefixes.filter(mayPassWithInterface) }))
      .filter(({ name, isTunnel, prefixes }) => isTunnel && prefixes.length > 0 && !taken.has(name))
      .map(({ name, prefixes }) => ({ Interface: name, Prefixes: prefixes }))
  }

  close(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#rest)
    this.#isUsed = false
  }

  /** Other programs are asked, so anybody who may ask us shares an answer that is on its way. */
  #read(): Promise<readonly ForeignInterface[]> {
    this.#reading ??= this.#parts.routes.read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** Looks around; one look at a time. */
  look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #lookOnce(): Promise<void> {
    const { Interfaces = [], Users = [] } = this.#setting ?? {}
    try {
      if (Interfaces.length > 0) this.#interfaces = await this.#read()
      this.#uids = await this.#uidsOf(Users)
    } catch (error) {
      this.#parts.log.warn('bypass-look', { error: errorText(error) }) // what was seen last holds until the next look
    }
    this.#settle()
  }

  async #uidsOf(users: readonly string[]): Promise<Map<string, number>> {
    const uids = new Map<string, number>()
    for (const name of users) {
      const uid = await this.#parts.accounts.uidOf(name)
      if (uid !== undefined) uids.set(name, uid)
    }
    return uids
  }

  #settle(): void {
    const setting = this.#isUsed ? this.#setting : undefined
    const wanted =
      setting === undefined ? plainRouterConfig.bypass : this.#meaning(setting, this.#interfaces, this.#uids)
    if (JSON.stringify(wanted) === JSON.stringify(this.#current)) return
    this.#current = wanted
    this.onChange()
  }

  #meaning(
    setting: BypassSetting,
    interfaces: readonly ForeignInterface[],
    uids: ReadonlyMap<string, number>,
  ): RouterBypass {
    return {
      prefixes: [...new Set(this.#sources(setting, interfaces).map(({ Prefix }) => Prefix))].sort(),
      uids: [...uids.values()].sort((a, b) => a - b).map((uid) => ({ first: uid, last: uid })),
      fwmarks: [],
      cgroups: setting.Cgroups,
    }
  }

  #sources(setting: BypassSetting, interfaces: readonly ForeignInterface[]): { Prefix: PrefixText; From: string }[] {
    return [
      ...setting.Prefixes.map((Prefix) => ({ Prefix, From: 'setting' })),
      ...setting.Interfaces.flatMap((name) =>
        (interfaces.find((face) => face.name === name)?.prefixes ?? [])
          .filter(mayPassWithInterface)
          .map((Prefix) => ({ Prefix, From: `interface ${name}` })),
      ),
      ...this.#names
        .current(setting.Suffixes, this.#parts.now())
        .map(({ address, name }) => ({ Prefix: hostPrefixText(address), From: `name ${name}` })),
    ]
  }

  #find(name: string): ForeignInterface | undefined {
    return this.#interfaces.find((face) => face.name === name)
  }
}
