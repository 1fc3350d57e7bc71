/**
 * NetworkManager, where it must be told itself: its versions 1.26.0 to 1.26.5 undo what systemd-resolved is told about a
 * link. Our interface's applied settings get servers, domains and a priority, and nothing else of it changes. They go
 * with the interface. [NetworkManager D-Bus API: Device.GetAppliedConnection, Device.Reapply]
 */
import type { OsDnsConfig } from '../../../src-protocol/machines/resolver/os-plan.ts'
import { viewOf } from '../../../src-protocol/wire/bytes.ts'
import type { DbusValue, DbusVariant } from '../../../src-protocol/wire/dbus.ts'
import { ipBytes, ipText } from '../../../src-protocol/wire/ip.ts'
import type { DbusConnection } from '../dbus/bus.ts'
import { errorText } from '../log/log.ts'
import { noOsDns, type OsDns, type OsDnsResult } from './port.ts'

export const NETWORK_MANAGER = 'org.freedesktop.NetworkManager'
const PATH = '/org/freedesktop/NetworkManager'
const DEVICE = `${NETWORK_MANAGER}.Device`
const DNS_MANAGER_PATH = `${PATH}/DnsManager`
const DNS_MANAGER = `${NETWORK_MANAGER}.DnsManager`
/** Below zero: no other link's servers are used beside ours. */
const EXCLUSIVE_PRIORITY = -10
const SHARED_PRIORITY = 100

type Dictionary = readonly (readonly [string, DbusVariant])[]
type Settings = readonly (readonly [string, Dictionary])[]

export interface NetworkManagerOptions {
  readonly interfaceName: string
  readonly why: string
  readonly openBus: () => Promise<DbusConnection>
}

export async function readNetworkManager(
  bus: DbusConnection,
): Promise<{ version: string; usesResolved: boolean } | undefined> {
  try {
    const version = await bus.property(NETWORK_MANAGER, PATH, NETWORK_MANAGER, 'Version')
    const mode = await bus.property(NETWORK_MANAGER, DNS_MANAGER_PATH, DNS_MANAGER, 'Mode')
    return { version: String(version), usesResolved: mode === 'systemd-resolved' }
  } catch {
    return undefined // it is just ending, or too old to say
  }
}

export class NetworkManagerOsDns implements OsDns {
  readonly mode = 'network-manager'
  readonly why: string
  readonly canSplit = true
  readonly #o: NetworkManagerOptions
  #bus: DbusConnection | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: NetworkManagerOptions) {
    this.#o = options
    this.why = options.why
  }

  listen(): void {}

  apply(desired: OsDnsConfig | undefined): Promise<OsDnsResult> {
    return this.#serial(async () => {
      try {
        await this.#reapply(desired)
        return { kind: 'applied' }
      } catch (error) {
        if (desired === undefined) return { kind: 'applied' } // its settings went with the interface
        return { kind: 'failed', message: `NetworkManager: ${errorText(error)}` }
      }
    })
  }

  base(): Promise<OsDnsConfig> {
    return this.#serial(async () => {
      try {
        const bus = await this.#connected()
        const entries = (await bus.property(
          NETWORK_MANAGER,
          DNS_MANAGER_PATH,
          DNS_MANAGER,
          'Configuration',
        )) as readonly Dictionary[]
        const others = entries
          .map((entry) => new Map(entry))
          .filter((entry) => entry.get('interface')?.value !== this.#o.interfaceName)
        const list = (name: string) => others.flatMap((entry) => (entry.get(name)?.value ?? []) as readonly string[])
        return {
          nameservers: list('nameservers').map((text) => ipText(ipBytes(text))),
          searchDomains: list('domains'),
          matchDomains: [],
        }
      } catch {
        return noOsDns
      }
    })
  }

  async close(): Promise<void> {
    await this.apply(undefined)
    this.#bus?.close()
  }

  async #reapply(desired: OsDnsConfig | undefined): Promise<void> {
    const bus = await this.#connected()
    const call = (path: string, iface: string, member: string, signature: string, body: readonly DbusValue[]) =>
      bus.call({ destination: NETWORK_MANAGER, path, interface: iface, member, signature, body })
    const [device] = await call(PATH, NETWORK_MANAGER, 'GetDeviceByIpIface', 's', [this.#o.interfaceName])
    const [settings, version] = (await call(String(device), DEVICE, 'GetAppliedConnection', 'u', [0])) as unknown as [
      Settings,
      bigint,
    ]
    await call(String(device), DEVICE, 'Reapply', 'a{sa{sv}}tu', [
      withDns(settings, desired) as unknown as DbusValue,
      version,
      0,
    ])
  }

  async #connected(): Promise<DbusConnection> {
    if (this.#bus === undefined || this.#bus.isClosed) this.#bus = await this.#o.openBus()
    return this.#bus
  }

  #serial<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => {})
    return done
  }
}

/** The same settings with our servers and domains; undefined = with none. */
export function withDns(settings: Settings, desired: OsDnsConfig | undefined): Settings {
  const sections = new Map(settings)
  const isDefault = desired !== undefined && desired.matchDomains.length === 0
  const domains = [
    ...(desired?.searchDomains ?? []),
    ...(isDefault ? ['~.'] : (desired?.matchDomains ?? []).map((name) => `~${name}`)),
  ]
  for (const family of ['ipv4', 'ipv6'] as const) {
    const section = new Map(sections.get(family) ?? [['method', { signature: 's', value: 'auto' }]])
    const own = (desired?.nameservers ?? []).map(ipBytes).filter((ip) => (ip.length === 4) === (family === 'ipv4'))
    for (const name of ['dns', 'dns-data', 'dns-search', 'dns-priority']) section.delete(name)
    if (own.length > 0) {
      section.set(
        'dns',
        family === 'ipv4' ? { signature: 'au', value: own.map(v4Number) } : { signature: 'aay', value: own },
      )
      section.set('dns-search', { signature: 'as', value: domains })
      section.set('dns-priority', { signature: 'i', value: isDefault ? EXCLUSIVE_PRIORITY : SHARED_PRIORITY })
    }
    sections.set(family, [...section])
  }
  return [...sections]
}

/** An address in network order, read as a number of this machine's order. */
function v4Number(ip: Uint8Array): number {
  return viewOf(ip).getUint32(0, true)
}
