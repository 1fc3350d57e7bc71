/**
 * systemd-resolved: our interface gets servers and domains of its own over D-Bus, so that only what is ours comes to us.
 * They go with the interface; when resolved restarts it has forgotten them and is told again.
 * [org.freedesktop.resolve1(5)]
 */
import { readFile } from 'node:fs/promises'
import type { IpText } from '../../../src-contract/ids.ts'
import type { OsDnsConfig } from '../../../src-protocol/machines/resolver/os-plan.ts'
import type { DbusValue } from '../../../src-protocol/wire/dbus.ts'
import { ipBytes, ipText } from '../../../src-protocol/wire/ip.ts'
import { type DbusConnection, DbusError } from '../dbus/bus.ts'
import { errorText } from '../log/log.ts'
import { noOsDns, type OsDns, type OsDnsResult } from './port.ts'

export const RESOLVED = 'org.freedesktop.resolve1'
const PATH = '/org/freedesktop/resolve1'
const MANAGER = 'org.freedesktop.resolve1.Manager'
const AF_INET = 2
const AF_INET6 = 10
const AGAIN_MS = 500
/** Old versions refuse long lists. */
const SHORT_LIST = 64

export interface ResolvedOptions {
  readonly interfaceName: string
  readonly why: string
  readonly openBus: () => Promise<DbusConnection>
}

export class ResolvedOsDns implements OsDns {
  readonly mode = 'systemd-resolved'
  readonly why: string
  readonly canSplit = true
  readonly #o: ResolvedOptions
  #bus: DbusConnection | undefined
  #desired: OsDnsConfig | undefined
  #events: Parameters<OsDns['listen']>[0] | undefined
  #again: NodeJS.Timeout | undefined
  #isClosed = false
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: ResolvedOptions) {
    this.#o = options
    this.why = options.why
  }

  listen(events: Parameters<OsDns['listen']>[0]): void {
    this.#events = events
  }

  apply(desired: OsDnsConfig | undefined): Promise<OsDnsResult> {
    const isSame = JSON.stringify(desired) === JSON.stringify(this.#desired)
    if (isSame && (desired === undefined || this.#bus?.isClosed === false)) return Promise.resolve({ kind: 'applied' })
    this.#desired = desired
    return this.#serial(() => this.#tell(desired))
  }

  base(): Promise<OsDnsConfig> {
    return this.#serial(async () => {
      try {
        const bus = await this.#connected()
        const own = await this.#index().catch(() => -1)
        const servers = (await bus.property(RESOLVED, PATH, MANAGER, 'DNS')) as readonly (readonly [
          number,
          number,
          Uint8Array,
        ])[]
        const domains = (await bus.property(RESOLVED, PATH, MANAGER, 'Domains')) as readonly (readonly [
          number,
          string,
          boolean,
        ])[]
        const nameservers = servers.filter(([index]) => index !== own).map(([, , address]) => ipText(address))
        const searchDomains = domains
          .filter(([index, , isRouteOnly]) => index !== own && !isRouteOnly)
          .map(([, name]) => name)
        return { nameservers: [...new Set(nameservers)], searchDomains: [...new Set(searchDomains)], matchDomains: [] }
      } catch {
        return noOsDns // it is not there at the moment; we are told when it is
      }
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#again)
    await this.apply(undefined)
    this.#bus?.close()
  }

  async #tell(desired: OsDnsConfig | undefined): Promise<OsDnsResult> {
    try {
      const index = await this.#index().catch(() => undefined)
      if (index === undefined) {
        if (desired === undefined) return { kind: 'applied' } // settings went with the interface
        return { kind: 'failed', message: `there is no interface ${this.#o.interfaceName}` }
      }
      if (desired === undefined) {
        await this.#call('RevertLink', 'i', [index])
        await this.#call('FlushCaches', '', [])
        return { kind: 'applied' }
      }
      const isDefault = desired.nameservers.length > 0 && desired.matchDomains.length === 0
      await this.#call('SetLinkDNS', 'ia(iay)', [index, desired.nameservers.map(serverValue)])
      await this.#setDomains(index, desired, isDefault)
      await this.#optional('SetLinkDefaultRoute', 'ib', [index, isDefault])
      await this.#optional('SetLinkLLMNR', 'is', [index, 'no'])
      await this.#optional('SetLinkMulticastDNS', 'is', [index, 'no'])
      await this.#optional('SetLinkDNSSEC', 'is', [index, 'no'])
      await this.#optional('SetLinkDNSOverTLS', 'is', [index, 'no'])
      await this.#call('FlushCaches', '', [])
      return { kind: 'applied' }
    } catch (error) {
      return { kind: 'failed', message: `systemd-resolved: ${errorText(error)}` }
    }
  }

  async #setDomains(index: number, desired: OsDnsConfig, isDefault: boolean): Promise<void> {
    const search = desired.searchDomains.map((name): DbusValue => [name, false])
    const isListed = new Set(desired.searchDomains)
    const routes = desired.matchDomains.filter((name) => !isListed.has(name)).map((name): DbusValue => [name, true])
    const all = [...search, ...(isDefault ? [['.', true]] : []), ...routes]
    try {
      await this.#call('SetLinkDomains', 'ia(sb)', [index, all])
    } catch (error) {
      if (!(error instanceof DbusError) || error.code === 'closed' || all.length <= SHORT_LIST) throw error
      await this.#call('SetLinkDomains', 'ia(sb)', [index, all.slice(0, SHORT_LIST)])
    }
  }

  /** Methods that older versions, or those built without a protocol, do not have. */
  async #optional(member: string, signature: string, body: readonly DbusValue[]): Promise<void> {
    try {
      await this.#call(member, signature, body)
    } catch (error) {
      const isUnknown = error instanceof DbusError && /UnknownMethod|NotSupported|InvalidArgs/.test(error.code)
      if (!isUnknown) throw error
    }
  }

  async #call(member: string, signature: string, body: readonly DbusValue[]): Promise<void> {
    const bus = await this.#connected()
    await bus.call({ destination: RESOLVED, path: PATH, interface: MANAGER, member, signature, body })
  }

  async #connected(): Promise<DbusConnection> {
    if (this.#bus !== undefined && !this.#bus.isClosed) return this.#bus
    const bus = await this.#o.openBus()
    this.#bus = bus
    bus.onClose = () => this.#tellAgain()
    bus.onSignal = (message) => {
      const [name, , owner] = message.body
      if (message.member === 'NameOwnerChanged' && name === RESOLVED && owner !== '') this.#tellAgain()
    }
    await bus.match(
      `type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='${RESOLVED}'`,
    )
    return bus
  }

  #tellAgain(): void {
    if (this.#isClosed || this.#desired === undefined) return
    clearTimeout(this.#again)
    this.#again = setTimeout(async () => {
      const result = await this.#serial(() => this.#tell(this.#desired))
      if (result.kind === 'failed') this.#tellAgain()
      else this.#events?.onBaseChange()
    }, AGAIN_MS)
    this.#again.unref()
  }

  async #index(): Promise<number> {
    return Number(await readFile(`/sys/class/net/${this.#o.interfaceName}/ifindex`, 'utf8'))
  }

  #serial<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => {})
    return done
  }
}

function serverValue(address: IpText): DbusValue {
  const bytes = ipBytes(address)
  return [bytes.length === 4 ? AF_INET : AF_INET6, bytes]
}
