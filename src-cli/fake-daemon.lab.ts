/**
 * A daemon made of the contract: a real HTTP server on a real Unix socket that keeps prefs and state in memory and
 * writes down what it was asked. For tests of what talks to a daemon; it is not a daemon.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { DerpMap } from '../src-contract/control/map.ts'
import type { NodeKeyText } from '../src-contract/ids.ts'
import type { Notify } from '../src-contract/localapi/notify.ts'
import type { PingResult, WhoIs } from '../src-contract/localapi/ping.ts'
import { defaultPrefs, type LoginProfile, type MaskedPrefs, type Prefs } from '../src-contract/localapi/prefs.ts'
import { EMPTY_PEER_STATUS, type PeerStatus, type Status } from '../src-contract/localapi/status.ts'

type Answer = (body: unknown, url: URL) => [status: number, body?: unknown]

export class FakeDaemon {
  readonly socketPath: string
  status: Status = blankStatus()
  prefs: Prefs = defaultPrefs()
  profiles: LoginProfile[] = []
  currentProfile: Partial<LoginProfile> = { ID: '' }
  pings: (Partial<PingResult> | 'silence')[] = []
  whois: WhoIs | undefined
  derpMap: DerpMap | null = null
  /** `POST start 204`-like lines. */
  readonly asked: string[] = []
  /** Bodies of commands, by `METHOD path`. */
  readonly bodies = new Map<string, unknown>()
  /** Replaces or adds an endpoint, by `METHOD path`. */
  readonly answers = new Map<string, Answer>()
  /** What happens after a command. */
  after: (what: string) => void = () => undefined
  readonly #server
  readonly #watchers = new Set<ServerResponse>()

  constructor(socketPath: string) {
    this.socketPath = socketPath
    this.#server = createServer((req, res) => {
      const parts: Buffer[] = []
      req.on('data', (part: Buffer) => parts.push(part))
      req.on('end', () => this.#handle(req, res, Buffer.concat(parts).toString('utf8')))
    })
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.socketPath, resolve))
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  notify(notify: Partial<Notify>): void {
    for (const res of this.#watchers) res.write(`${JSON.stringify(notify)}\n`)
  }

  #handle(req: IncomingMessage, res: ServerResponse, text: string): void {
    const url = new URL(req.url ?? '', 'http://local')
    const path = url.pathname.replace('/localapi/v0/', '')
    const what = `${req.method} ${path}`
    if (path === '/') {
      res.end('pintaild\n')
      return
    }
    this.asked.push(what)
    if (path === 'watch-ipn-bus') {
      this.#watchers.add(res)
      res.on('close', () => this.#watchers.delete(res))
      res.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders()
      this.after(what)
      return
    }
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    if (req.method !== 'GET') this.bodies.set(what, body)
    const answer = (this.answers.get(what) ?? this.#builtIn(what))(body, url)
    if (answer[0] === 0) return // silence
    const out = answer[1] === undefined ? '' : typeof answer[1] === 'string' ? answer[1] : JSON.stringify(answer[1])
    res.writeHead(answer[0]).end(out)
    this.after(what)
  }

  #builtIn(what: string): Answer {
    switch (what) {
      case 'GET status':
        return (_body, url) => [
          200,
          url.searchParams.get('peers') === 'false' ? { ...this.status, Peer: null } : this.status,
        ]
      case 'GET prefs':
        return () => [200, this.prefs]
      case 'PATCH prefs':
        return (body) => {
          this.prefs = applyMask(this.prefs, body as MaskedPrefs)
          return [200, this.prefs]
        }
      case 'POST check-prefs':
        return () => [200, {}]
      case 'POST start':
      case 'POST login-interactive':
      case 'POST logout':
        return () => [204]
      case 'PUT profiles/':
        return () => [201]
      case 'GET profiles/':
        return () => [200, this.profiles]
      case 'GET profiles/current':
        return () => [200, this.currentProfile]
      case 'GET serve-config':
        return () => [200, 'null']
      case 'GET derpmap':
        return () => [200, this.derpMap ?? 'null']
      case 'GET whois':
        return () => (this.whois === undefined ? [404, 'no match for IP:port\n'] : [200, this.whois])
      case 'POST ping':
        return () => {
          const next = this.pings.shift() ?? 'silence'
          return next === 'silence' ? [0] : [200, { ...blankPong, ...next }]
        }
      default:
        return () => [404, '404 page not found\n']
    }
  }
}

const blankPong: PingResult = {
  IP: '100.64.0.2',
  NodeIP: '100.64.0.2',
  NodeName: 'nas',
  Err: '',
  LatencySeconds: 0.012,
  Endpoint: '',
  PeerRelay: '',
  DERPRegionID: 0,
  DERPRegionCode: '',
}

function applyMask(prefs: Prefs, masked: MaskedPrefs): Prefs {
  const values = masked as Record<string, unknown>
  const set = Object.keys(values).filter((key) => key.endsWith('Set') && values[key] === true)
  return { ...prefs, ...Object.fromEntries(set.map((key) => [key.slice(0, -3), values[key.slice(0, -3)]])) }
}

export function blankPeer(more: Partial<PeerStatus> = {}): PeerStatus {
  return {
    ...EMPTY_PEER_STATUS,
    ID: 'n1',
    NodeID: 1,
    OS: 'linux',
    UserID: 1,
    Online: true,
    InNetworkMap: true,
    InMagicSock: true,
    InEngine: true,
    ...more,
  }
}

export function blankStatus(more: Partial<Status> = {}): Status {
  return {
    Version: '0.1.0',
    TUN: true,
    BackendState: 'NeedsLogin',
    AuthURL: '',
    TailscaleIPs: null,
    Self: blankPeer(),
    Health: null,
    MagicDNSSuffix: '',
    CurrentTailnet: null,
    CertDomains: null,
    Peer: null,
    User: null,
    ClientVersion: null,
    ...more,
  }
}

/** Three machines: this one, `nas` and `phone`. */
export function runningStatus(more: Partial<Status> = {}): Status {
  const key = (i: number) => `nodekey:${String(i).padStart(64, '0')}` as NodeKeyText
  return blankStatus({
    BackendState: 'Running',
    HaveNodeKey: true,
    TailscaleIPs: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
    Self: blankPeer({
      HostName: 'air',
      DNSName: 'air.example.ts.net.',
      TailscaleIPs: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
      PublicKey: key(1),
    }),
    MagicDNSSuffix: 'example.ts.net',
    CurrentTailnet: { Name: 'example', MagicDNSSuffix: 'example.ts.net', MagicDNSEnabled: true },
    Peer: {
      [key(2)]: blankPeer({
        ID: 'n2',
        HostName: 'nas',
        DNSName: 'nas.example.ts.net.',
        TailscaleIPs: ['100.64.0.2', 'fd7a:115c:a1e0::2'],
        PublicKey: key(2),
        Active: true,
        CurAddr: '203.0.113.5:41641',
        Relay: 'tok',
        TxBytes: 100,
        RxBytes: 200,
        ExitNodeOption: true,
      }),
      [key(3)]: blankPeer({
        ID: 'n3',
        HostName: 'phone',
        DNSName: 'phone.example.ts.net.',
        TailscaleIPs: ['100.64.0.3', 'fd7a:115c:a1e0::3'],
        PublicKey: key(3),
        OS: 'android',
        UserID: 2,
        Active: true,
        Relay: 'tok',
      }),
    },
    User: {
      1: { ID: 1, LoginName: 'ann@example.com', DisplayName: 'Ann' },
      2: { ID: 2, LoginName: 'tagged-devices', DisplayName: '' },
    },
    ...more,
  })
}
