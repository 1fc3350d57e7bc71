/**
 * Linux: brings the host's network from what is there to what is wanted, and back. Looks once, then trusts its memory
 * until `forget`, a failure or the kernel's word that somebody else changed something. Decisions are in
 * `network-state.ts`, `plan.ts` and `firewall-rules.ts`. [docs/rules/router.md]
 */
import { openNetworkWatch } from '../../../src-native/network-watch.ts'
import { errorText } from '../log/log.ts'
import { Firewall } from './firewall.ts'
import { hostAdvice } from './host-advice.ts'
import { findConflict, IpProgram, type Look } from './ip-program.ts'
import { interfaceDown, type NetworkState, networkStateOf } from './network-state.ts'
import { planBatches } from './plan.ts'
import type { Router, RouterConfig, RouterResult } from './port.ts'
import { RepairBudget } from './repair-budget.ts'

const SETTLE_MS = 250
/** After changes of our own, which are told, too: one look for all of them. */
const OWN_SETTLE_MS = 2_000
/** Looking must stay cheap beside what makes us look. */
const REST_PER_LOOK = 20

export interface LinuxRouterOptions {
  /** What somebody else had taken away was put back. */
  readonly onRepair?: (lines: readonly string[]) => void
  /** Where programs are; tests hide some. */
  readonly folders?: readonly string[]
}

/** First of all it undoes what a killed daemon left, except what keeps the host closed. [RT-7, RT-8] */
export async function openLinuxRouter(device: string, options: LinuxRouterOptions = {}): Promise<Router> {
  const router = new LinuxRouter(device, await IpProgram.open(device, options.folders), options)
  await router.undoLeftovers('all-but-closed').catch(() => {
    // Whoever may not even look will hear so from the first `apply`, which begins with the same look.
  })
  return router
}

/** For `--cleanup`. */
export async function undoLeftovers(device: string, options: LinuxRouterOptions = {}): Promise<void> {
  const router = new LinuxRouter(device, await IpProgram.open(device, options.folders), options)
  await router.undoLeftovers('all')
  await router.close()
}

interface Memory {
  readonly look: Look
  readonly state: NetworkState
}

class LinuxRouter implements Router {
  readonly #device: string
  readonly #ip: IpProgram
  readonly #firewall: Firewall
  readonly #options: LinuxRouterOptions
  readonly #budget = new RepairBudget(performance.now())
  readonly #watch: ReturnType<typeof openNetworkWatch>
  #desired: RouterConfig | undefined
  #memory: Memory | undefined
  #auditTimer: NodeJS.Timeout | undefined
  #restUntilMs = 0
  #ownUntilMs = 0
  #isClosed = false
  #last: Promise<unknown> = Promise.resolve()

  constructor(device: string, ip: IpProgram, options: LinuxRouterOptions) {
    this.#device = device
    this.#ip = ip
    this.#firewall = new Firewall(device, options.folders)
    this.#options = options
    this.#watch = openNetworkWatch(() => this.#planAudit())
  }

  apply(desired: RouterConfig | undefined): Promise<RouterResult> {
    return this.#serial(() => this.#apply(desired))
  }

  forget(): void {
    void this.#serial(async () => this.#forget())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#watch?.close()
    clearTimeout(this.#auditTimer)
    await this.apply(undefined)
  }

  undoLeftovers(extent: 'all' | 'all-but-closed'): Promise<void> {
    return this.#serial(async () => {
      const look = await this.#ip.look()
      if (extent === 'all-but-closed' && look.state.closed.size > 0) return
      this.#memory = { look, state: look.state }
      await this.#bring(interfaceDown)
      await this.#firewall.removeLeftovers()
      this.#forget()
    })
  }

  #forget(): void {
    this.#memory = undefined
    this.#firewall.forget()
  }

  async #apply(desired: RouterConfig | undefined): Promise<RouterResult> {
    try {
      return await this.#try(desired)
    } catch {
      // Somebody else changed something under us, perhaps; look and try once more.
      this.#forget()
    }
    try {
      return await this.#try(desired)
    } catch (error) {
      this.#forget()
      return { kind: 'failed', message: errorText(error) }
    }
  }

  async #try(desired: RouterConfig | undefined): Promise<RouterResult> {
    const { look } = await this.#remember(desired)
    if (desired === undefined) {
      this.#desired = undefined
      await this.#bring(interfaceDown)
      await this.#firewall.apply(undefined, look.facts)
      return { kind: 'applied', warnings: [] }
    }
    const conflict = findConflict(this.#device, look, desired) ?? (await this.#firewall.findConflict(desired))
    if (conflict !== undefined) {
      this.#forget()
      return conflict
    }
    // Nothing comes in through the tunnel before there are rules about it.
    const firewall = await this.#firewall.apply(desired, look.facts)
    await this.#bring(networkStateOf(desired, look.facts))
    this.#desired = desired
    const advice = await hostAdvice(this.#device, desired, look, firewall)
    return { kind: 'applied', warnings: [...firewall.warnings, ...advice] }
  }

  /** New addresses are a reason to look whether somebody else has them. */
  async #remember(desired: RouterConfig | undefined): Promise<Memory> {
    const known = this.#memory
    if (known !== undefined && (desired?.addresses ?? []).every((address) => known.state.addresses.has(address)))
      return known
    const look = await this.#ip.look(new Set([...(this.#desired?.addresses ?? []), ...(desired?.addresses ?? [])]))
    this.#memory = { look, state: look.state }
    return this.#memory
  }

  async #bring(want: NetworkState): Promise<readonly string[]> {
    const memory = this.#memory
    if (memory === undefined) throw new Error('nothing is known about the network')
    const { policyRouting } = memory.look.facts
    const batches = planBatches({ device: this.#device, policyRouting }, memory.state, want)
    await this.#ip.run(batches)
    this.#ownUntilMs = batches.length > 0 ? performance.now() + SETTLE_MS : 0
    this.#memory = { ...memory, state: want }
    return batches.flatMap(({ lines }) => lines)
  }

  #planAudit(): void {
    if (this.#auditTimer !== undefined || this.#isClosed || this.#desired === undefined) return
    const now = performance.now()
    const settleMs = now < this.#ownUntilMs ? OWN_SETTLE_MS : SETTLE_MS
    const waitMs = Math.max(settleMs, this.#restUntilMs - now)
    this.#auditTimer = setTimeout(() => {
      this.#auditTimer = undefined
      void this.#serial(() => this.#audit())
    }, waitMs).unref()
  }

  /** Puts back what is missing. An interface that is down was taken down by an administrator. [RT-3] */
  async #audit(): Promise<void> {
    const desired = this.#desired
    if (this.#isClosed || desired === undefined || this.#memory === undefined) return
    const startedMs = performance.now()
    try {
      const look = await this.#ip.look(new Set(desired.addresses))

      if (!look.state.up) return
      this.#memory = { look, state: look.state }
      const want = networkStateOf(desired, look.facts)
      const { policyRouting } = look.facts
      const isNetworkRight = planBatches({ device: this.#device, policyRouting }, look.state, want).length === 0
      const isFirewallRight = await this.#firewall.isIntact()
      if (isNetworkRight && isFirewallRight) return
      const waitMs = this.#budget.take(startedMs)
      if (waitMs > 0) {
        this.#restUntilMs = startedMs + waitMs
        this.#planAudit()
        return
      }
      this.#firewall.forget()
      if (!isFirewallRight) await this.#firewall.apply(desired, look.facts)
      const lines = await this.#bring(want)
      this.#options.onRepair?.(lines)
    } catch {
      this.#forget() // the next apply looks and says what is wrong
    } finally {
      const endedMs = performance.now()
      this.#restUntilMs = Math.max(this.#restUntilMs, endedMs + REST_PER_LOOK * (endedMs - startedMs))
    }
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }
}
