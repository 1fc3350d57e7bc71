/** For tests: a whole daemon behind a real socket, without server and packets; the test plays those. */
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MapResponse, Node } from '../../src-contract/control/map.ts'
import type { Notify } from '../../src-contract/localapi/notify.ts'
import { nodeCrypto } from '../../src-protocol/crypto/node-crypto.ts'
import { foldMapResponse, type Netmap } from '../../src-protocol/machines/netmap.ts'
import { nodeKeyText } from '../../src-protocol/wire/keys.ts'
import { Backend } from '../engine/backend.ts'
import type { ControlLink, ControlOptions } from '../engine/control-port.ts'
import { MemoryPlane } from '../engine/plane-memory.ts'
import { Profiles } from '../engine/profiles.ts'
import { openTaildrop } from '../engine/taildrop/open-taildrop.ts'
import type { Taildrop } from '../engine/taildrop/taildrop.ts'
import { silentLog } from '../io/log/log.ts'
import type { Dialer } from '../io/proxies/dialer-port.ts'
import type { RouteView } from '../io/route-view/port.ts'
import { MemoryStore } from '../io/store/memory.ts'
import type { PeerCredentials } from '../io/users/port.ts'
import { localApiRoutes } from './routes.ts'
import { type LocalApiServer, openLocalApi } from './server.ts'

export class PlayedControl implements ControlLink {
  readonly options: ControlOptions
  readonly logins: { authKey: string; interactive: boolean }[] = []
  readonly updates: unknown[] = []
  isClosed = false
  isLoggedOut = false
  #netmap: Netmap | undefined

  constructor(options: ControlOptions) {
    this.options = options
  }

  login(options: { authKey: string; interactive: boolean }): void {
    this.logins.push(options)
  }
  update(facts: unknown): void {
    this.updates.push(facts)
  }
  networkChanged(): void {}
  certificate(): Promise<string> {
    return Promise.reject(new Error('a played server issues no certificates'))
  }
  async logout(): Promise<void> {
    this.isLoggedOut = true
  }
  close(): void {
    this.isClosed = true
  }

  authenticate(): void {
    this.options.events.onAuthenticated({ user: { ID: 1, LoginName: 'ada@', DisplayName: 'Ada' } })
  }

  send(message: MapResponse): void {
    const isNewStream = this.#netmap === undefined
    const folded = foldMapResponse(this.#netmap, message, { wallMs: Date.now(), isNewStream })
    if (!folded.ok) throw new Error(folded.reason)
    this.#netmap = folded.value.netmap
    this.options.events.onNetmap(folded.value.netmap, folded.value.delta)
  }
}

export function testNode(id: number, change: Partial<Node> = {}): Node {
  return {
    ID: id,
    StableID: `n${id}`,
    Name: `host${id}.example.ts.net.`,
    User: 1,
    Key: nodeKeyText(new Uint8Array(32).fill(id)),
    Addresses: [`100.64.0.${id}/32`, `fd7a:115c:a1e0::${id}/128`],
    HomeDERP: 1,
    Hostinfo: { Hostname: `host${id}`, OS: 'linux' },
    MachineAuthorized: true,
    Online: true,
    ...change,
  } as Node
}

export function firstMap(change: MapResponse = {}): MapResponse {
  return {
    Node: testNode(1),
    Peers: [testNode(2), testNode(3)],
    Domain: 'example.com',
    DNSConfig: { Proxied: true },
    PacketFilter: [],
    UserProfiles: [{ ID: 1, LoginName: 'ada@', DisplayName: 'Ada' }],
    DERPMap: { Regions: { 1: { RegionID: 1, RegionCode: 'home', RegionName: 'Home', Nodes: [] } } },
    ...change,
  }
}

export interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly text: string
  readonly json: unknown
}

export interface CallOptions {
  readonly body?: unknown
  readonly headers?: { [name: string]: string | string[] }
  readonly uid?: number
  readonly target?: string
}

export class TestDaemon {
  readonly folder: string
  readonly store: MemoryStore
  readonly plane = new MemoryPlane()
  readonly controls: PlayedControl[] = []
  backend!: Backend
  readonly taildrop: Taildrop
  /** How peers are reached. */
  dial: Dialer['dial'] = async () => ({ kind: 'failed', reason: 'unreachable', message: 'no network in this test' })
  /** What the host is found to have. */
  routeView: RouteView = {
    read: async () => ({ family: 4, rules: [], routes: [], links: [], problems: [] }),
    ask: async () => ({ kind: 'refused', why: 'unreachable' }),
  }
  /** Who the next connections are taken for. */
  caller: PeerCredentials | undefined = { pid: 1, uid: 0, gid: 0 }
  operatorUids: { [name: string]: number } = {}
  /** The clock that nobody sets. */
  nowMs: () => number = () => performance.now()
  #server!: LocalApiServer

  private constructor(store: MemoryStore) {
    this.store = store
    this.folder = mkdtempSync(join(tmpdir(), 'pintail-api-'))
    this.taildrop = openTaildrop({
      stateFolder: this.folder,
      taildropFolder: undefined,
      dialer: { dial: (host, port, signal) => this.dial(host, port, signal) },
      nowMs: () => performance.now(),
      wallMs: () => Date.now(),
      log: silentLog,
    })
  }

  static async open(store = new MemoryStore()): Promise<TestDaemon> {
    const daemon = new TestDaemon(store)
    const profiles = await Profiles.open(store, nodeCrypto)
    daemon.backend = new Backend({
      version: '9.9.9-test',
      profiles,
      plane: daemon.plane,
      crypto: nodeCrypto,
      random01: () => 0,
      hostChecks: {
        forwarding: async () => undefined,
        udpOffload: async () => undefined,
        hasUser: async (name) => Object.hasOwn(daemon.operatorUids, name),
      },
      nowMs: () => daemon.nowMs(),
      taildrop: daemon.taildrop,
      explain: {
        view: { read: (network) => daemon.routeView.read(network), ask: (asked) => daemon.routeView.ask(asked) },
        accounts: { uidOf: async (name) => daemon.operatorUids[name] },
      },
      hostFacts: {
        hostName: 'box',
        osVersion: '6.1',
        distro: 'debian',
        distroVersion: '12',
        distroCodeName: 'bookworm',
        machine: 'x86_64',
        goArch: 'amd64',
      },
      wallMs: () => Date.now(),
      log: silentLog,
      openControl: (options) => {
        const control = new PlayedControl(options)
        daemon.controls.push(control)
        return control
      },
    })
    daemon.#server = await openLocalApi({
      socketPath: daemon.socketPath,
      routes: localApiRoutes(daemon.backend),
      credentialsOf: () => daemon.caller,
      daemonUid: 0,
      operatorUid: async () => daemon.operatorUids[daemon.backend.prefs.OperatorUser ?? ''],
      log: silentLog,
    })
    await daemon.backend.resume()
    return daemon
  }

  get socketPath(): string {
    return join(this.folder, 'sub', 'd.sock')
  }

  get control(): PlayedControl {
    const last = this.controls.at(-1)
    if (last === undefined) throw new Error('no control link was opened')
    return last
  }

  /** Joined and running, as after `up --auth-key`. */
  async join(map: MapResponse = firstMap()): Promise<void> {
    await this.call('POST', 'start', { body: { AuthKey: 'key', UpdatePrefs: { WantRunning: true } } })
    this.control.authenticate()
    this.control.send(map)
    await this.until(() => this.backend.state === 'Running')
  }

  async until(isTrue: () => boolean): Promise<void> {
    for (let i = 0; i < 200 && !isTrue(); i++) await new Promise((resolve) => setImmediate(resolve))
    if (!isTrue()) throw new Error(`it did not come true: ${isTrue.toString()}; state ${this.backend.state}`)
  }

  call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    if (options.uid !== undefined) this.caller = { pid: 1, uid: options.uid, gid: options.uid }
    const { body } = options
    const bodyText = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const outgoing = request({
        socketPath: this.socketPath,
        method,
        path: options.target ?? `/localapi/v0/${path}`,
        agent: false,
        headers: {
          host: 'local-tailscaled.sock',
          'content-length': Buffer.byteLength(bodyText),
          ...options.headers,
        },
      })
      outgoing.on('error', reject)
      outgoing.on('response', (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk
        })
        response.on('end', () => {
          const isJson = response.headers['content-type'] === 'application/json' && body !== ''
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: body,
            json: isJson ? JSON.parse(body) : undefined,
          })
        })
      })
      outgoing.end(bodyText)
    })
  }

  watch(mask: number): Promise<Watch> {
    return new Promise((resolve, reject) => {
      const outgoing = request({
        socketPath: this.socketPath,
        path: `/localapi/v0/watch-ipn-bus?mask=${mask}`,
        agent: false,
        headers: { host: 'local-tailscaled.sock' },
      })
      outgoing.on('error', reject)
      outgoing.on('response', (response) => {
        const watch = new Watch(() => outgoing.destroy())
        let rest = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) watch.push(JSON.parse(line) as Notify)
        })
        response.on('error', () => {})
        resolve(watch)
      })
      outgoing.end()
    })
  }

  async close(): Promise<void> {
    await this.#server.close()
    await this.backend.close()
    this.taildrop.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export class Watch {
  readonly heard: Notify[] = []
  readonly close: () => void
  #wake: () => void = () => {}

  constructor(close: () => void) {
    this.close = close
  }

  push(notify: Notify): void {
    this.heard.push(notify)
    this.#wake()
  }

  /** The first message, from now on or before, that fits. */
  async find(fits: (notify: Notify) => boolean): Promise<Notify> {
    for (;;) {
      const found = this.heard.find(fits)
      if (found !== undefined) return found
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`not heard; heard ${JSON.stringify(this.heard)}`)), 3_000)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}
