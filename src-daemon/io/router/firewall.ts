/**
 * The packet filter part of `apply`: chooses nftables or iptables, writes only when something differs, and says what
 * stands in the way. A host whose packet filter refuses us keeps its tunnel and hears a warning. [docs/rules/router.md RT-11…RT-14]
 */
import { access } from 'node:fs/promises'
import { findProgram } from '../dns/run-program.ts'
import { errorText } from '../log/log.ts'
import type { FirewallBackend, FirewallLook } from './firewall-backend.ts'
import { firewallWish } from './firewall-rules.ts'
import { mayHaveRules, openIptables, usesOldTables } from './iptables.ts'
import type { HostFacts } from './network-state.ts'
import { openNftables } from './nftables.ts'
import type { RouterConfig, RouterResult, RouterWarning } from './port.ts'

const GROUP_FOLDER = '/sys/fs/cgroup'

export interface FirewallReport {
  readonly look: FirewallLook | undefined
  readonly kind: FirewallBackend['kind'] | undefined
  readonly warnings: readonly RouterWarning[]
}

const nothing: FirewallReport = { look: undefined, kind: undefined, warnings: [] }

export class Firewall {
  readonly #device: string
  readonly #folders: readonly string[] | undefined
  #backend: Promise<FirewallBackend | undefined> | undefined
  /** What we wrote last, and how it looked then; whether it looks so still is asked again after `forget`. */
  #written: { readonly wish: string; readonly fingerprint: string; readonly report: FirewallReport } | undefined
  #isTrusted = false

  constructor(device: string, folders?: readonly string[]) {
    this.#device = device
    this.#folders = folders
  }

  forget(): void {
    this.#isTrusted = false
  }

  /** Chains with our names that are not ours. */
  async findConflict(desired: RouterConfig): Promise<RouterResult | undefined> {
    if (desired.netfilterMode === 'off' || (this.#written !== undefined && this.#isTrusted)) return undefined
    const backend = await this.#open()
    const look = await backend?.look().catch(() => undefined) // what it says now it says again when we write
    if (look === undefined) return undefined
    const isOther = look.owner !== undefined && look.owner !== this.#device && (await hasInterface(look.owner))
    const holder = look.foreign ?? (isOther ? look.owner : undefined)
    if (holder === undefined) return undefined
    const runs = holder !== '' && (await hasInterface(holder))
    const advice = runs
      ? `stop what runs ${holder}`
      : 'of a program that no longer runs; tailscaled --cleanup removes them'
    return {
      kind: 'conflict',
      what: 'firewall-chains',
      interfaceName: holder,
      detail: `the firewall chains ts-input and ts-forward are in use for ${holder || 'another interface'}: ${advice}`,
    }
  }

  /** undefined = nothing of ours. */
  async apply(desired: RouterConfig | undefined, host: HostFacts): Promise<FirewallReport> {
    const wantsGroups = (desired?.bypass.cgroups.length ?? 0) > 0
    const isWanted = desired !== undefined && (desired.netfilterMode !== 'off' || wantsGroups)
    const backend = await this.#open()
    if (backend === undefined) {
      if (!isWanted) return nothing
      return { ...nothing, warnings: [missing, ...(wantsGroups ? [groupsNeedNftables] : [])] }
    }
    const warnings: RouterWarning[] = []
    const groups = desired === undefined ? [] : await this.#usableGroups(desired, backend, warnings)
    const natIpv6 = isWanted && host.hostIpv6 && (await backend.natIpv6())
    if (isWanted && host.tunnelIpv6 && !natIpv6 && masqueradesIpv6(desired)) warnings.push(noIpv6Nat)
    const wish = desired === undefined ? undefined : firewallWish(this.#device, desired, { ...host, natIpv6, groups })
    const text = JSON.stringify(wish ?? null)
    try {
      const known = this.#written
      if (known !== undefined && known.wish === text && this.#isTrusted) return { ...known.report, warnings }
      let look = await backend.look()
      const isThere = known?.wish === text && known.fingerprint === look.fingerprint
      if (!isThere && (wish !== undefined || (look.owner !== undefined && (await this.#mayRemove(look.owner))))) {
        await backend.write(wish)
        look = await backend.look()
      }
      const report: FirewallReport = { look, kind: backend.kind, warnings }
      this.#written = { wish: text, fingerprint: look.fingerprint, report }
      this.#isTrusted = true
      return report
    } catch (error) {
      this.#written = undefined
      if (isWanted) warnings.push(refused(errorText(error)))
      return { ...nothing, kind: backend.kind, warnings }
    }
  }

  /** Of a daemon that was killed, whichever program it used. */
  async removeLeftovers(): Promise<void> {
    const nft = await findProgram('nft', this.#folders)
    const backends = [
      nft === undefined ? undefined : await openNftables(nft),
      (await mayHaveRules(this.#folders)) ? await openIptables(this.#folders) : undefined,
    ]
    for (const backend of backends) {
      const owner = (await backend?.look())?.owner
      if (owner !== undefined && (await this.#mayRemove(owner))) await backend?.write(undefined)
    }
  }

  /** Nobody has touched what we wrote. */
  async isIntact(): Promise<boolean> {
    const backend = await this.#open()
    if (this.#written === undefined || backend === undefined) return true
    const { fingerprint } = await backend.look()
    return fingerprint === this.#written.fingerprint
  }

  /** Ours, or of a daemon of ours that is gone. */
  async #mayRemove(owner: string): Promise<boolean> {
    return owner === this.#device || !(await hasInterface(owner))
  }

  async #usableGroups(desired: RouterConfig, backend: FirewallBackend, warnings: RouterWarning[]): Promise<string[]> {
    const { cgroups } = desired.bypass
    if (cgroups.length === 0) return []
    if (backend.kind !== 'nftables') {
      warnings.push(groupsNeedNftables)
      return []
    }
    const usable: string[] = []
    for (const group of cgroups) {
      if (isGroupName(group) && (await isThere(`${GROUP_FOLDER}/${group}`))) usable.push(group)
    }
    const missing = cgroups.filter((group) => !usable.includes(group))
    if (missing.length > 0) warnings.push(groupsMissing(missing))
    return usable
  }

  #open(): Promise<FirewallBackend | undefined> {
    this.#backend ??= this.#choose()
    return this.#backend
  }

  async #choose(): Promise<FirewallBackend | undefined> {
    const nft = (await usesOldTables(this.#folders)) ? undefined : await findProgram('nft', this.#folders)
    const nftables = nft === undefined ? undefined : await openNftables(nft)
    return nftables ?? (await openIptables(this.#folders))
  }
}

/** It becomes a word in quotes for `nft` and a path below /sys/fs/cgroup. */
export function isGroupName(group: string): boolean {
  return /^[^"\n\0/]{1,255}(\/[^"\n\0/]{1,255}){0,15}$/.test(group) && !group.split('/').includes('..')
}

function masqueradesIpv6({ snatSubnetRoutes, advertisedRoutes, netfilterMode }: RouterConfig): boolean {
  return snatSubnetRoutes && netfilterMode !== 'off' && advertisedRoutes.some((route) => route.includes(':'))
}

const missing: RouterWarning = {
  code: 'netfilter-missing',
  text: 'There is neither nftables nor iptables on this machine: nothing is forwarded for others, and its firewall does not know the tunnel.',
  fix: ['apt-get install nftables || dnf install nftables || pacman -S nftables'],
}
const groupsNeedNftables: RouterWarning = {
  code: 'bypass-groups-need-nftables',
  text: 'Control groups can only be kept out of the exit node with nftables, which is missing here.',
  fix: ['apt-get install nftables || dnf install nftables || pacman -S nftables'],
}
const noIpv6Nat: RouterWarning = {
  code: 'ipv6-nat-missing',
  text: 'This kernel cannot masquerade IPv6: others reach advertised IPv6 routes only where those know the way back.',
  fix: ['modprobe ip6table_nat'],
}
function refused(complaint: string): RouterWarning {
  return {
    code: 'netfilter-refused',
    text: `The firewall rules could not be set (${complaint}); the tunnel works, forwarding for others may not.`,
    fix: [],
  }
}
function groupsMissing(groups: readonly string[]): RouterWarning {
  const names = groups.map((group) => JSON.stringify(group)).join(', ')
  return {
    code: 'bypass-group-missing',
    text: `There is no control group ${names}: what will run there takes the exit node.`,
    fix: [],
  }
}

function hasInterface(name: string): Promise<boolean> {
  return isThere(`/proc/sys/net/ipv4/conf/${name}`)
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
