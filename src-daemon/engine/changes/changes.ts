/**
 * Changes of this machine's network with a deadline, for the current profile: foretold, made, then confirmed or taken
 * back. The shell: one timer, the disk, the health row and the watchers. The decisions are in the pure files beside.
 * [docs/rules/changes.md]
 */

import { ZERO_TIME } from '../../../src-contract/ids.ts'
import type {
  AppliedChange,
  ChangeOutcome,
  ChangePreview,
  ChangesReport,
  ChangeWarning,
  FinishedChange,
} from '../../../src-contract/localapi/changes.ts'
import type { Prefs } from '../../../src-contract/localapi/prefs.ts'
import { planDns } from '../../../src-protocol/machines/resolver/plan.ts'
import { toHex } from '../../../src-protocol/wire/bytes.ts'
import { errorText } from '../../io/log/log.ts'
import type { Advice } from '../backend.ts'
import { type Core, RefusedError } from '../core.ts'
import { dnsWishesOf } from '../dns/dns-wishes.ts'
import { timeText } from '../node-text.ts'
import type { ProfileChange } from '../profiles.ts'
import { chooseExit } from '../routing/exit-choice.ts'
import { exitProblem } from '../routing/routing.ts'
import { type OwnRouting, plainOwnRouting, wishOf } from '../routing/wish.ts'
import { diffOf } from './diff.ts'
import { type NetworkView, networkView } from './network-view.ts'
import type { ParsedChange } from './parse-change.ts'
import { isThroughTunnel, sessionWarnings } from './session-risk.ts'
import { afterOtherEdit, applyChange, isEmptyUndo, revertChange, type Settings, type Undo, whatIs } from './undo.ts'
import { type PendingChange, Waiting } from './waiting.ts'

const ID_BYTES = 8

/** Another change waits, or this one does not. */
export class ChangeConflictError extends RefusedError {}

export interface ChangesParts {
  readonly core: Core
  /** A clock that nobody sets. */
  readonly nowMs: () => number
  /** Saves and makes it so; `note`: counts even when the disk refuses. */
  readonly take: (change: ProfileChange, save: 'or-refuse' | 'note') => Promise<void>
  /** What this host has against new preferences. */
  readonly findProblem: (prefs: Prefs) => Promise<string | undefined>
  readonly forwarding: (routes: readonly string[]) => Promise<Advice | undefined>
}

export class Changes {
  readonly #parts: ChangesParts
  readonly #core: Core
  readonly #waiting = new Waiting()
  #last: FinishedChange | null = null
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(parts: ChangesParts) {
    this.#parts = parts
    this.#core = parts.core
  }

  get report(): ChangesReport {
    const { change } = this.#waiting
    if (change === undefined) return { Pending: null, Last: this.#last }
    const leftMs = this.#waiting.leftMs(this.#parts.nowMs())
    return {
      Pending: {
        Id: change.id,
        Deadline: this.#deadline(leftMs),
        SecondsLeft: Math.ceil(leftMs / 1000),
        What: whatIs(change.undo),
      },
      Last: this.#last,
    }
  }

  async preview(change: ParsedChange): Promise<ChangePreview> {
    const { next } = await this.#resultOf(change)
    return this.#foretell(next, change)
  }

  /** One of the daemon's commands: the caller sees to it that they run one after another. */
  async apply(change: ParsedChange, withinMs: number): Promise<AppliedChange> {
    const { core } = this.#parts
    if (this.#waiting.change !== undefined) {
      const until = this.#deadline(this.#waiting.leftMs(this.#parts.nowMs()))
      throw new ChangeConflictError(
        `another change waits for its confirmation until ${until}: confirm it or take it back first`,
      )
    }
    const { next, undo } = await this.#resultOf(change)
    const preview = await this.#foretell(next, change)
    if (isEmptyUndo(undo)) return { ...preview, Id: '', Deadline: ZERO_TIME }
    const id = toHex(core.o.crypto.randomBytes(ID_BYTES))
    const pendingChange: PendingChange = { id, startedWallMs: core.o.wallMs(), withinMs, undo }
    this.#waiting.begin(pendingChange, this.#parts.nowMs())
    try {
      await this.#parts.take({ ...next, pendingChange }, 'or-refuse')
    } catch (error) {
      if (core.profiles.current.pendingChange === undefined) this.#waiting.end() // not even saved
      throw error
    } finally {
      this.#follow()
    }
    core.health.clear('change-not-reverted')
    core.o.log.info('change-applied', { id, withinMs, what: whatIs(undo) })
    return { ...preview, Id: id, Deadline: this.#deadline(this.#waiting.leftMs(this.#parts.nowMs())) }
  }

  async confirm(id: string): Promise<ChangesReport> {
    const { core } = this.#parts
    if (!this.#waiting.isOpen(id, this.#parts.nowMs())) throw this.#notWaiting(id)
    await core.saveOrRefuse(() => core.profiles.updateCurrent({ pendingChange: undefined }))
    this.#finish('confirmed')
    return this.report
  }

  async revert(id: string): Promise<ChangesReport> {
    if (this.#waiting.change?.id !== id) throw this.#notWaiting(id)
    await this.#takeBack('reverted')
    return this.report
  }

  /** Before the network of the current profile comes up: what was waiting when the daemon ended goes on, or back. */
  async resume(): Promise<void> {
    const { core } = this.#parts
    const kept = core.profiles.current.pendingChange
    if (kept === undefined || kept.id === this.#waiting.change?.id) return
    this.#waiting.resume(kept, core.o.wallMs(), this.#parts.nowMs())
    if (this.#waiting.wake(this.#parts.nowMs())) await this.#takeBack('expired', 'settings-only')
    else this.#follow()
  }

  /** Before another profile becomes the current one: what is not confirmed is not kept. */
  async leave(): Promise<void> {
    if (this.#waiting.change !== undefined) await this.#takeBack('reverted', 'settings-only')
  }

  /** The login is gone, and its settings with it. */
  forget(): void {
    if (this.#waiting.change !== undefined) this.#finish('forgotten')
  }

  /** What is to be kept of the waiting change when somebody else makes these preferences the current ones. */
  afterOtherEdit(after: Prefs): PendingChange | undefined {
    const { change } = this.#waiting
    if (change === undefined) return undefined
    return { ...change, undo: afterOtherEdit(change.undo, this.#settings().prefs, after) }
  }

  /** They are. */
  noteOtherEdit(change: PendingChange | undefined): void {
    if (change !== undefined) this.#waiting.replace(change)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  async #takeBack(outcome: 'reverted' | 'expired', how: 'settings-only' | 'at-once' = 'at-once'): Promise<void> {
    const { core } = this.#parts
    const { change } = this.#waiting
    if (change === undefined) return
    const result = revertChange(this.#settings(), change.undo, this.#context())
    try {
      if (!result.ok) throw new RefusedError(result.message)
      const settings = { ...result.next, pendingChange: undefined }
      if (how === 'settings-only') await core.noteOrWarn(() => core.profiles.noteCurrent(settings))
      else await this.#parts.take(settings, 'note')
      this.#finish(outcome, result.left)
    } catch (error) {
      const reason = errorText(error)
      await core.noteOrWarn(() => core.profiles.noteCurrent({ pendingChange: undefined }))
      core.health.set('change-not-reverted', reason)
      this.#finish('failed', [], reason)
    }
  }

  #finish(outcome: ChangeOutcome, left: readonly string[] = [], reason = ''): void {
    const { core } = this.#parts
    const { change } = this.#waiting
    if (change === undefined) return
    this.#waiting.end()
    const At = timeText(core.o.wallMs())
    this.#last = { Id: change.id, Outcome: outcome, At, Left: [...left], Reason: reason }
    core.o.log.info('change-finished', { id: change.id, outcome, left, reason })
    this.#follow()
  }

  /** Timer, health and watchers follow what waits. */
  #follow(): void {
    const { health, bus } = this.#parts.core
    const { Pending } = this.report
    clearTimeout(this.#timer)
    const next = this.#waiting.nextWake()
    if (next !== undefined && !this.#isClosed) {
      const waitMs = Math.max(0, Math.ceil(next - this.#parts.nowMs()))
      this.#timer = setTimeout(() => void this.#parts.core.serial(() => this.#wake()), waitMs).unref()
    }
    if (Pending === null) health.clear('change-pending')
    else
      health.set(
        'change-pending',
        `A change (${Pending.What.join(', ')}) is taken back at ${Pending.Deadline.slice(11, 19)} UTC unless it is confirmed.`,
      )
    bus.tell({ PintailChanges: this.report })
  }

  async #wake(): Promise<void> {
    if (this.#isClosed) return
    if (this.#waiting.wake(this.#parts.nowMs())) await this.#takeBack('expired')
    else if (this.#waiting.change !== undefined) this.#follow()
  }

  async #resultOf({ wanted }: ParsedChange): Promise<{ readonly next: Settings; readonly undo: Undo }> {
    const result = applyChange(this.#settings(), wanted, this.#context())
    if (!result.ok) throw new RefusedError(result.message)
    const problem = await this.#parts.findProblem(result.next.prefs)
    if (problem !== undefined) throw new RefusedError(problem)
    return result
  }

  async #foretell(next: Settings, { session }: ParsedChange): Promise<ChangePreview> {
    const { core } = this.#parts
    const before = this.#view(this.#settings(), core.ownRouting)
    const after = this.#view(next, {
      routesOff: next.routesOff,
      bypass: (await core.bypass?.preview(next.bypass, usesExit(next.prefs))) ?? plainOwnRouting.bypass,
    })
    const Diff = diffOf(before, after)
    const Warnings = session === undefined ? [] : sessionWarnings(before, after, session)
    const problem = core.netmap === undefined ? undefined : exitProblem(chooseExit(core.netmap, after.settings.prefs))
    const exitIsNew = Diff.ExitNode.Before.ID !== Diff.ExitNode.After.ID || !before.connected
    if (after.connected && problem !== undefined && exitIsNew)
      Warnings.push(warning('exit-unavailable', `Nothing would leave this machine: ${problem}.`))
    if (Diff.Forwarded.Added.length > 0) Warnings.push(...(await this.#forwardingWarnings(after)))
    const SessionWay = session === undefined ? '' : isThroughTunnel(before, session) ? 'tunnel' : 'outside'
    return { Diff, Warnings, SessionWay }
  }

  async #forwardingWarnings({ router }: NetworkView): Promise<ChangeWarning[]> {
    const advice = await this.#parts.forwarding(router.advertisedRoutes)
    return advice === undefined ? [] : [{ Code: 'forwarding-off', Text: advice.text, Fix: [...advice.fix] }]
  }

  #view(asked: Settings, own: OwnRouting): NetworkView {
    const { netmap, plane, routing, o } = this.#parts.core
    if (netmap === undefined || !asked.prefs.WantRunning)
      return networkView({ settings: asked, netmap, place: undefined })
    const prefs = routing.reconcile(netmap, asked.prefs)
    const wish = wishOf(netmap, prefs, own, routing.home)
    const router = plane.previewRouting?.(netmap, wish)
    const dns = planDns(dnsWishesOf(netmap, prefs, asked.bypass, o.wallMs()))
    const place = router === undefined ? undefined : { router, wish, dns }
    return networkView({ settings: { ...asked, prefs }, netmap, place })
  }

  #settings(): Settings {
    const { prefs, bypass, routesOff } = this.#core.profiles.current
    return { prefs, bypass, routesOff }
  }

  #context(): { readonly otherProfileNames: readonly string[] } {
    return { otherProfileNames: this.#core.profiles.otherNames() }
  }

  #deadline(leftMs: number): string {
    return timeText(Math.round(this.#core.o.wallMs() + leftMs))
  }

  #notWaiting(id: string): ChangeConflictError {
    if (this.#waiting.change?.id === id)
      return new ChangeConflictError('it is too late: this change is being taken back')
    if (this.#last?.Id !== id) return new ChangeConflictError('no such change waits for its confirmation')
    return new ChangeConflictError(`it is too late: this change was ${WORDS[this.#last.Outcome]}`)
  }
}

const WORDS: { readonly [K in ChangeOutcome]: string } = {
  confirmed: 'confirmed already',
  reverted: 'taken back already',
  expired: 'taken back at its deadline',
  failed: 'to be taken back, and could not be',
  forgotten: 'dropped with its login',
}

function usesExit({ ExitNodeID, ExitNodeIP, WantRunning }: Prefs): boolean {
  return WantRunning && (ExitNodeID !== '' || ExitNodeIP !== '')
}

function warning(Code: ChangeWarning['Code'], Text: string): ChangeWarning {
  return { Code, Text, Fix: [] }
}
