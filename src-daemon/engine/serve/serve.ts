/**
 * What this machine serves: the config of the profile and of commands in the foreground, and the ports that follow it.
 * Decisions about requests: `machines/serve`; sockets: `io/serve`. [docs/rules/serve.md]
 */
import { type IpText, idText } from '../../../src-contract/ids.ts'
import type { ServeConfig, TcpPortHandler, WebServer } from '../../../src-contract/localapi/serve.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { answerFor, type WebAnswer } from '../../../src-protocol/machines/serve/answer.ts'
import { problemOfChange } from '../../../src-protocol/machines/serve/change.ts'
import type { CallerIdentity } from '../../../src-protocol/machines/serve/identity-headers.ts'
import { parseForward } from '../../../src-protocol/machines/serve/proxy-target.ts'
import { encodeProxyHeader } from '../../../src-protocol/wire/proxy-protocol.ts'
import { errorText, type Log } from '../../io/log/log.ts'
import type { FileOwner } from '../../io/serve/file-servers.ts'
import type { OpenServedPort, SecureNames, ServedPort, StreamEnds, StreamPlan, WebFacts } from '../../io/serve/port.ts'
import { findNodeForWhois } from '../find-node.ts'
import { magicDnsSuffix, nodeAddresses } from '../node-text.ts'
import { peerCapabilities } from '../peer-capabilities.ts'
import { type FileOwners, type KeptServe, nothingServed, ownersAfter, pathsOf } from './kept.ts'
import { ListenerSet } from './listener-set.ts'

const RETRY_MS = 2_000

export interface ServeOptions {
  readonly open: OpenServedPort
  /** Certificates; undefined = this network has none, at present. */
  readonly secureNames: () => SecureNames | undefined
  /** Whether files can be read with somebody's rights. */
  readonly mayReadFor: (owner: FileOwner) => boolean
  readonly log: Log
}

/** A change that was asked for: what the profile is to keep, and what is held for commands in the foreground. */
export interface ServeChange {
  readonly kept: KeptServe
  readonly foreground: NonNullable<ServeConfig['Foreground']>
  readonly owners: FileOwners
}

export class Serve {
  /** Ports that cannot be had, in words; "" = all is well. */
  onTroubles: (text: string) => void = () => {}
  readonly #o: ServeOptions
  readonly #listeners: ListenerSet<{ readonly address: IpText; readonly port: string }>
  readonly #sessions = new Map<string, () => void>()
  #netmap: Netmap | undefined
  #shieldsUp = false
  #kept: KeptServe = nothingServed
  #foreground: NonNullable<ServeConfig['Foreground']> = {}
  #owners: FileOwners = {}
  /** What holds now, background and foreground as one. */
  #ports: ReadonlyMap<string, TcpPortHandler> = new Map()
  #servers: { readonly [hostPort: string]: WebServer } = {}

  constructor(options: ServeOptions) {
    this.#o = options
    this.#listeners = new ListenerSet({
      open: (_key, { address, port }) => options.open(address, Number(port), this.#served(port)),
      retryMs: RETRY_MS,
      onTroubles: (troubles) => {
        const texts = [...troubles].map(([key, error]) => `${key.split(' ')[0]}: ${errorText(error)}`)
        this.onTroubles(texts.join('; '))
      },
    })
  }

  get config(): ServeConfig {
    const isIdle = Object.keys(this.#foreground).length === 0
    return isIdle ? this.#kept.config : { ...this.#kept.config, Foreground: this.#foreground }
  }

  /** Whose rights a handler's files are read with. */
  ownerOf(key: string): FileOwner | undefined {
    return this.#owners[key]
  }

  /** Without a network, or while our addresses are not in place, nothing is open. */
  configure(netmap: Netmap | undefined, shieldsUp: boolean, kept: KeptServe): Promise<void> {
    this.#netmap = netmap
    this.#shieldsUp = shieldsUp
    if (kept !== this.#kept) {
      this.#kept = kept
      this.#owners = { ...this.#owners, ...kept.owners }
    }
    return this.#follow()
  }

  /** A sentence against this change, or undefined. */
  problemOf(next: ServeConfig, caller: FileOwner): string | undefined {
    const { config } = this
    if (pathsOf(next).size > 0 && !this.#o.mayReadFor(caller))
      return 'files are served with your rights, and a daemon that is not root cannot take them; serve a web server of yours instead'
    const isSecure = ({ HTTPS, TerminateTLS }: TcpPortHandler): boolean => HTTPS === true || TerminateTLS !== undefined
    const all = [next, ...Object.values(next.Foreground ?? {})]
    if (this.#o.secureNames() === undefined && all.some(({ TCP = {} }) => Object.values(TCP).some(isSecure)))
      return 'this network has no certificates, so there is no HTTPS; serve by HTTP (--http=80) or hand on TCP (--tcp=PORT)'
    if (Object.keys(next.Services ?? {}).length > 0) return 'services with addresses of their own are not built yet'
    if (Object.values(next.AllowFunnel ?? {}).includes(true)) return 'Funnel is not built yet; nothing was opened'
    const stranger = Object.keys(next.Foreground ?? {}).find((id) => !this.#sessions.has(id))
    if (stranger !== undefined && config.Foreground?.[stranger] === undefined)
      return `there is no watch with the session ${stranger}; it ended meanwhile`
    return problemOfChange(config, next, { shieldsUp: this.#shieldsUp })
  }

  /** What a config that somebody sent means; nothing has happened yet. */
  changeTo(next: ServeConfig, caller: FileOwner): ServeChange {
    const { Foreground: foreground = {}, ...config } = next
    const owners = ownersAfter({ config: this.config, owners: this.#owners }, next, caller)
    return { kept: { config, owners: ownersAfter(this.#kept, config, caller) }, foreground, owners }
  }

  /** The part that is nobody's to keep. The rest comes with the next `configure`. */
  hold({ foreground, owners }: ServeChange): void {
    const ended = Object.keys(this.#foreground).filter((id) => foreground[id] === undefined)
    this.#foreground = foreground
    this.#owners = owners
    for (const id of ended) this.#sessions.get(id)?.()
  }

  /** A watch that may serve in the foreground; `end` ends it when its part is taken away. */
  openSession(id: string, end: () => void): () => void {
    this.#sessions.set(id, end)
    return () => {
      this.#sessions.delete(id)
      if (this.#foreground[id] === undefined) return
      const { [id]: _ended, ...rest } = this.#foreground
      this.#foreground = rest
      void this.#follow()
    }
  }

  async close(): Promise<void> {
    this.#foreground = {}
    await this.configure(undefined, false, nothingServed)
  }

  #follow(): Promise<void> {
    const configs: ServeConfig[] = [...Object.values(this.#foreground), this.#kept.config]
    this.#ports = new Map(configs.flatMap(({ TCP = {} }) => Object.entries(TCP)))
    this.#servers = Object.assign({}, ...configs.map(({ Web = {} }) => Web))
    const wanted = new Map<string, { address: IpText; port: string }>()
    const addresses = this.#netmap === undefined ? [] : nodeAddresses(this.#netmap.self)
    for (const [port, handler] of this.#ports)
      for (const address of addresses) {
        const host = address.includes(':') ? `[${address}]` : address
        wanted.set(`${host}:${port} ${listenerKind(handler)}`, { address, port })
      }
    return this.#listeners.follow(wanted)
  }

  #served(port: string): ServedPort {
    const handler = this.#ports.get(port) ?? {}
    const tls = listenerKind(handler).startsWith('tls') ? (name: string) => this.#secure(name) : undefined
    if (handler.TCPForward === undefined) return { kind: 'web', tls, answer: (facts) => this.#answer(facts) }
    return { kind: 'stream', tls, plan: (ends) => this.#planOf(port, ends) }
  }

  /** Asked for each connection: certificates are renewed, networks left. */
  #secure(name: string): ReturnType<SecureNames> {
    return this.#o.secureNames()?.(name) ?? Promise.reject(new Error('this network has no certificates any more'))
  }

  #planOf(port: string, { remote, local }: StreamEnds): StreamPlan | undefined {
    const { TCPForward, ProxyProtocol } = this.#ports.get(port) ?? {}
    const to = TCPForward === undefined ? undefined : parseForward(TCPForward)
    if (to === undefined || !to.ok || this.#whoIs(remote.address) === undefined) return undefined
    if (ProxyProtocol === undefined) return { to: to.value, header: undefined }
    const destination = { address: local, port: 'port' in to.value ? to.value.port : Number(port) }
    return { to: to.value, header: encodeProxyHeader(ProxyProtocol, { source: remote, destination }) }
  }

  #answer(facts: WebFacts): WebAnswer {
    const asker = this.#whoIs(facts.remote)
    if (asker === undefined) return { kind: 'refused', status: 403, text: 'only for machines of this network' }
    const { netmap, caller } = asker
    const callerCaps = new Map(
      Object.entries(peerCapabilities(netmap, this.#shieldsUp, facts.remote) ?? {}).map(([name, values]) => [
        name,
        values ?? [],
      ]),
    )
    const site = { servers: this.#servers, domain: magicDnsSuffix(netmap.self.Name) }
    return answerFor(site, { ...facts, caller, callerCaps })
  }

  /** The kernel answers on our addresses to whoever reaches them, also from a network beside the tunnel. */
  #whoIs(remote: IpText): { netmap: Netmap; caller: CallerIdentity | undefined } | undefined {
    const netmap = this.#netmap
    const node = netmap === undefined ? undefined : findNodeForWhois(netmap, remote)
    if (netmap === undefined || node === undefined) return undefined
    const user = (node.Tags ?? []).length > 0 ? undefined : netmap.userProfiles.get(idText(node.User))
    const caller = user && {
      loginName: user.LoginName,
      displayName: user.DisplayName,
      profilePicUrl: user.ProfilePicURL ?? '',
    }
    return { netmap, caller }
  }
}

function listenerKind({ HTTPS, TCPForward, TerminateTLS }: TcpPortHandler): string {
  if (TCPForward === undefined) return HTTPS ? 'tls web' : 'web'
  return TerminateTLS === undefined ? 'stream' : 'tls stream'
}
