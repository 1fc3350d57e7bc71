/**
 * The program `ip`: looks at what is there, and runs batches. Absolute path, fixed environment, no shell; every word in a
 * batch is an address we parsed, a number or our own interface name.
 */
import { access, readFile } from 'node:fs/promises'
import { findProgram, type ProgramResult, runProgram } from '../dns/run-program.ts'
import {
  type Interface,
  isOverlayAddress,
  parseInterfaces,
  parseRoutes,
  parseRules,
  type Rules,
  type TableRoutes,
} from './ip-output.ts'
import { priorities, TUNNEL_TABLE } from './marks.ts'
import type { Family, HostFacts, NetworkState, RouteKind } from './network-state.ts'
import type { Batch } from './plan.ts'
import type { RouterConfig, RouterResult } from './port.ts'

/** 100 000 routes. */
const MAX_OUTPUT = 64 << 20

export interface Look {
  readonly facts: HostFacts
  /** Of our interface, and everything of ours in the tables. */
  readonly state: NetworkState
  readonly interfaces: readonly Interface[]
  readonly foreignDevices: readonly string[]
  /** Interfaces that routes with our protocol number lead to. */
  readonly ownDevices: readonly string[]
  readonly foreignRule: number | undefined
}

export class IpProgram {
  readonly #path: string
  readonly #device: string

  private constructor(path: string, device: string) {
    this.#path = path
    this.#device = device
  }

  static async open(device: string, folders?: readonly string[]): Promise<IpProgram> {
    const path = await findProgram('ip', folders)
    if (path === undefined) throw new Error('the program ip is missing: install iproute2')
    return new IpProgram(path, device)
  }

  /** `own`: addresses that are ours although they are of no network of this kind. */
  async look(own: ReadonlySet<string> = new Set()): Promise<Look> {
    const hostIpv6 = await isThere('/proc/sys/net/ipv6')
    const [interfaces, rules4, rules6, tunnelIpv6] = await Promise.all([
      this.#ask(['-details', 'address', 'show']).then(parseInterfaces),
      this.#rules(4),
      hostIpv6 ? this.#rules(6) : undefined,
      this.#tunnelIpv6(),
    ])
    const policyRouting = rules4 !== undefined
    const [routes4, routes6] = await Promise.all([
      this.#routes(4, policyRouting),
      hostIpv6 ? this.#routes(6, policyRouting) : undefined,
    ])
    const tables = routes6 === undefined ? [routes4] : [routes4, routes6]
    const rules = [rules4, rules6].filter((found) => found !== undefined)
    const closed = new Set<Family>()
    if (routes4.isClosed) closed.add(4)
    if (routes6?.isClosed === true) closed.add(6)
    const device = interfaces.find(({ name }) => name === this.#device)
    const ownDevices = tables.flatMap((table) => table.ownDevices)
    // Routes to an interface that is there: another daemon of ours runs, and all of it belongs to that one.
    const isOthers = ownDevices.some((name) => name !== this.#device)
    return {
      facts: {
        hostIpv6: hostIpv6 && (!policyRouting || rules6 !== undefined),
        tunnelIpv6,
        policyRouting,
        priorities: priorities(rules.some(({ hasMwan3 }) => hasMwan3)),
      },
      state: {
        up: device?.up ?? false,
        mtuBytes: device?.mtuBytes ?? 0,
        addresses: new Set(device?.addresses.filter((address) => own.has(address) || isOverlayAddress(address))),
        routes: new Map<string, RouteKind>(isOthers ? [] : tables.flatMap(({ ours }) => [...ours])),
        closed: isOthers ? new Set<Family>() : closed,
        rules: new Set(isOthers ? [] : rules.flatMap(({ ours }) => ours)),
      },
      interfaces,
      foreignDevices: tables.flatMap(({ foreignDevices }) => foreignDevices).filter((name) => name !== this.#device),
      ownDevices,
      foreignRule: rules.find(({ foreignPriority }) => foreignPriority !== undefined)?.foreignPriority,
    }
  }

  /** Goes on after a line that fails, and throws in the end. */
  async run(batches: readonly Batch[]): Promise<void> {
    const complaints: string[] = []
    for (const { ipv6Rules, lines } of batches) {
      const args = [...(ipv6Rules ? ['-6'] : []), '-force', '-batch', '-']
      const result = await runProgram(this.#path, args, `${lines.join('\n')}\n`)
      if (result.status !== 0) complaints.push(complaintOf(args, result))
    }
    if (complaints.length > 0) throw new Error(complaints.join('; '))
  }

  async #ask(args: readonly string[]): Promise<string> {
    const result = await runProgram(this.#path, ['-N', '-json', ...args], '', MAX_OUTPUT)
    if (result.status !== 0) throw new Error(complaintOf(args, result))
    return result.output
  }

  /** undefined = the kernel has no rules. */
  async #rules(family: Family): Promise<Rules | undefined> {
    const result = await runProgram(this.#path, ['-N', '-json', `-${family}`, 'rule', 'show'])
    if (result.status === 0) return parseRules(result.output, family)
    if (/not supported|No such file/i.test(result.complaint)) return undefined
    throw new Error(complaintOf(['rule', 'show'], result))
  }

  /** Of our table, or where the kernel has but one, ours in that one. */
  async #routes(family: Family, policyRouting: boolean): Promise<TableRoutes> {
    const table = policyRouting ? String(TUNNEL_TABLE) : 'main'
    const args = ['-N', '-json', `-${family}`, 'route', 'show', 'table', table]
    const result = await runProgram(this.#path, args, '', MAX_OUTPUT)
    if (result.status === 0) {
      const routes = parseRoutes(result.output, family)
      return policyRouting ? routes : { ...routes, foreignDevices: [] } // where others are at home
    }
    if (/does not exist/.test(result.complaint)) return parseRoutes('', family)
    throw new Error(complaintOf(args, result))
  }

  /** Hosts without the family, or with it switched off for our interface, refuse its addresses. */
  async #tunnelIpv6(): Promise<boolean> {
    const setting = await readFile(`/proc/sys/net/ipv6/conf/${this.#device}/disable_ipv6`, 'utf8').catch(() => '1')
    return setting.trim() === '0'
  }
}

/** Our own address elsewhere, another tunnel of such a network, or another owner of what we share with stock daemons. */
export function findConflict(device: string, look: Look, desired: RouterConfig): RouterResult | undefined {
  for (const other of look.interfaces) {
    if (other.name === device) continue
    for (const address of other.addresses) {
      if (desired.addresses.includes(address) || (other.kind === 'tun' && isOverlayAddress(address)))
        return conflict('address', other.name, `${other.name} has ${address}`)
    }
  }
  const owner = look.foreignDevices[0] ?? look.ownDevices.find((name) => name !== device)
  if (owner !== undefined)
    return conflict('routing-table', owner, `routes in table ${TUNNEL_TABLE} lead to ${owner}; stop what made them`)
  if (look.foreignRule !== undefined) {
    const holder = look.interfaces.find(({ name, kind }) => kind === 'tun' && name !== device)?.name ?? ''
    const who = holder === '' ? 'a program that no longer runs (tailscaled --cleanup)' : holder
    return conflict(
      'routing-table',
      holder,
      `ip rule ${look.foreignRule} leads to table ${TUNNEL_TABLE} and is not ours; it may be of ${who}`,
    )
  }
  return undefined
}

function conflict(what: 'address' | 'routing-table', interfaceName: string, detail: string): RouterResult {
  return { kind: 'conflict', what, interfaceName, detail }
}

function complaintOf(args: readonly string[], { status, complaint }: ProgramResult): string {
  return `ip ${args.join(' ')}: ${complaint.trim().slice(0, 500) || `status ${status}`}`
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
