/** The fake daemon's routes, bypass and changes with a deadline: contract shapes, and just enough sense to be driven. */
import { type BypassReport, type BypassSuggestion, emptyBypass } from '../../src-contract/localapi/bypass.ts'
import type { AppliedChange, ChangePreview, ChangeRequest, ChangesReport } from '../../src-contract/localapi/changes.ts'
import type { Prefs } from '../../src-contract/localapi/prefs.ts'
import type { RouteExplanation } from '../../src-contract/localapi/route-explain.ts'
import type { SubnetRoutes, SubnetRoutesEdit } from '../../src-contract/localapi/subnet-routes.ts'

export interface FakeAnswer {
  readonly status?: number
  readonly body: unknown
}

export class FakeRoutes {
  readonly routes: SubnetRoutes = { Routes: [], Off: [] }
  bypass: BypassReport = { Setting: emptyBypass, InEffect: [], Missing: [] }
  suggestions: BypassSuggestion[] = []
  /** What the next preview says; undefined: nothing is cut off. */
  preview: ChangePreview | undefined
  explanation: RouteExplanation | undefined
  /** Why the daemon would refuse. */
  refusal = ''
  changes: ChangesReport = { Pending: null, Last: null }
  readonly #tell: (changes: ChangesReport) => void
  readonly #prefs: () => Prefs
  #undo: (() => void) | undefined

  constructor(tell: (changes: ChangesReport) => void, prefs: () => Prefs) {
    this.#tell = tell
    this.#prefs = prefs
  }

  answer(route: string, body: unknown): FakeAnswer | undefined {
    if (this.refusal !== '' && !route.startsWith('GET')) return { status: 400, body: this.refusal }
    switch (route) {
      case 'GET pintail/routes':
        return { body: this.#shownRoutes() }
      case 'PATCH pintail/routes':
        this.#switch(body as SubnetRoutesEdit)
        return { body: this.#shownRoutes() }
      case 'GET pintail/bypass':
        return { body: this.bypass }
      case 'PUT pintail/bypass':
        this.bypass = { ...this.bypass, Setting: body as BypassReport['Setting'] }
        return { body: this.bypass }
      case 'GET pintail/bypass/suggestions':
        return { body: this.suggestions.filter(({ Interface }) => !this.bypass.Setting.Interfaces.includes(Interface)) }
      case 'POST pintail/changes/preview':
        return { body: this.preview ?? quietPreview() }
      case 'POST pintail/changes':
        return { body: this.#apply(body as ChangeRequest) }
      case 'POST pintail/changes/confirm':
        return this.#end('confirmed')
      case 'POST pintail/changes/revert':
        this.#undo?.()
        return this.#end('reverted')
      case 'GET pintail/route-explain':
        return this.explanation === undefined ? undefined : { body: this.explanation }
    }
    return undefined
  }

  #shownRoutes(): SubnetRoutes {
    const accepts = this.#prefs().RouteAll
    const Routes = this.routes.Routes.map((route): SubnetRoutes['Routes'][number] => {
      if (!accepts) return { ...route, InUse: false, Reason: 'not-accepted' }
      return this.routes.Off.includes(route.Prefix) ? { ...route, InUse: false, Reason: 'off' } : route
    })
    return { Routes, Off: this.routes.Off }
  }

  #switch({ Off = [], On = [] }: SubnetRoutesEdit): void {
    this.routes.Off = [...this.routes.Off.filter((prefix) => !On.includes(prefix)), ...Off]
  }

  #apply({ Bypass, Routes, ConfirmWithinSeconds }: ChangeRequest): AppliedChange {
    const [bypass, off] = [this.bypass, this.routes.Off]
    if (Bypass !== undefined) this.bypass = { ...bypass, Setting: Bypass }
    if (Routes !== undefined) this.#switch(Routes)
    this.#undo = () => {
      this.bypass = bypass
      this.routes.Off = off
    }
    const Deadline = new Date(Date.now() + ConfirmWithinSeconds * 1000).toISOString()
    const What = [Bypass === undefined ? 'routes' : 'bypass']
    this.changes = { Pending: { Id: 'c1', Deadline, SecondsLeft: ConfirmWithinSeconds, What }, Last: null }
    this.#tell(this.changes)
    return { ...(this.preview ?? quietPreview()), Id: 'c1', Deadline }
  }

  #end(Outcome: 'confirmed' | 'reverted'): FakeAnswer {
    if (this.changes.Pending === null) return { status: 409, body: 'no change waits' }
    this.#undo = undefined
    this.changes = { Pending: null, Last: { Id: 'c1', Outcome, At: new Date().toISOString(), Left: [], Reason: '' } }
    this.#tell(this.changes)
    return { body: this.changes }
  }
}

export function quietPreview(): ChangePreview {
  const none = () => ({ Added: [], Removed: [] })
  const exit = { ID: '', Name: '', Blocked: false }
  const firewall = { Mode: 'on', ShieldsUp: false, Snat: true, Stateful: true } as const
  return {
    Diff: {
      Settings: [],
      Connected: { Before: true, After: true },
      Bypass: none(),
      RoutesOff: none(),
      Addresses: none(),
      Routes: none(),
      Rules: none(),
      Dns: { Servers: none(), Search: none(), Split: none() },
      ExitNode: { Before: exit, After: exit },
      Firewall: { Before: firewall, After: firewall },
      Forwarded: none(),
    },
    Warnings: [],
    SessionWay: '',
  }
}
