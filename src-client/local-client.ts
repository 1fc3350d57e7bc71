/**
 * The LocalAPI as functions: what CLI, app and lab call on a running daemon, ours or a stock one. The replies that
 * everything is built on are checked (`parse-reply.ts`); the rest is trusted to have the daemon's shape, for it runs with
 * more rights than we do. Specified in `docs/rules/localapi.md`; errors are {@link LocalApiError}, an abort throws the signal's reason.
 */
import type { Readable } from 'node:stream'
import type { DerpMap, UserProfile } from '../src-contract/control/map.ts'
import { CAPABILITY_VERSION } from '../src-contract/control/versions.ts'
import type { StableNodeId } from '../src-contract/ids.ts'
import type { CertificateAuthorityReport } from '../src-contract/localapi/certificates.ts'
import type {
  AppliedChange,
  ChangePreview,
  ChangePreviewRequest,
  ChangeRequest,
  ChangesReport,
} from '../src-contract/localapi/changes.ts'
import type { FileTarget, QueuedTransfer, WaitingFile } from '../src-contract/localapi/files.ts'
import type { Notify } from '../src-contract/localapi/notify.ts'
import type { PingResult, PingType, WhoIs } from '../src-contract/localapi/ping.ts'
import type { DatapathReport, PathReports, PintailFeatures } from '../src-contract/localapi/pintail.ts'
import type { LoginProfile, MaskedPrefs, Prefs, StartOptions } from '../src-contract/localapi/prefs.ts'
import type { RouteExplanation } from '../src-contract/localapi/route-explain.ts'
import type { ServeConfig } from '../src-contract/localapi/serve.ts'
import type { Status } from '../src-contract/localapi/status.ts'
import { parseLossless, writeLossless } from './json.ts'
import { LocalApiError } from './local-api-error.ts'
import { parsePing, parsePrefs, parseStatus } from './parse-reply.ts'
import { type Reply, type RequestOptions, SocketTransport } from './request.ts'
import { openWatch, type Watch, type WatchOptions } from './watch.ts'

export interface LocalClientOptions {
  socketPath: string
  /** The caller's word on why it acts, sent along for the daemon's audit log. */
  reason?: string
}

export interface CallOptions {
  signal?: AbortSignal | undefined
  timeoutMs?: number
}

export interface ExitNodeSuggestion {
  ID: string
  Name: string
  Location?: { Country?: string; CountryCode?: string; City?: string; CityCode?: string }
}

const PREFIX = '/localapi/v0/'
/** Commands may have to wait for control or for the operating system. */
const COMMAND_TIMEOUT_MS = 60_000

/** Names are looked up, and others may be asking, too. */
const EXPLAIN_TIMEOUT_MS = 30_000

export class LocalClient {
  readonly socketPath: string
  readonly #transport: SocketTransport
  #daemonVersion: string | undefined

  constructor(options: LocalClientOptions) {
    this.socketPath = options.socketPath
    const headers: Record<string, string> = { 'Tailscale-Cap': String(CAPABILITY_VERSION) }
    if (options.reason) headers['X-Tailscale-Reason'] = Buffer.from(options.reason, 'utf8').toString('base64')
    this.#transport = new SocketTransport(options.socketPath, headers)
  }

  /** From the latest answer's header; undefined before one, "" when the daemon does not say. */
  get daemonVersion(): string | undefined {
    return this.#daemonVersion
  }

  close(): void {
    this.#transport.close()
  }

  /** Any endpoint. `path` may be absolute or relative to `/localapi/v0/`. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    const fallback = method === 'GET' ? {} : { timeoutMs: COMMAND_TIMEOUT_MS }
    const full = path.startsWith('/') ? path : PREFIX + path
    const reply = await this.#transport.exchange(method, full, { ...fallback, ...options })
    const version = reply.headers['tailscale-version']
    this.#daemonVersion = typeof version === 'string' ? version : ''
    return reply
  }

  /** Any endpoint that answers JSON. */
  async json(method: string, path: string, options: RequestOptions & { json?: unknown } = {}): Promise<unknown> {
    const { json, ...rest } = options
    const headers = json === undefined ? rest.headers : { 'Content-Type': 'application/json', ...rest.headers }
    const reply = await this.request(method, path, {
      ...rest,
      ...(headers === undefined ? {} : { headers }),
      ...(json === undefined ? {} : { body: writeLossless(json) }),
    })
    try {
      return parseLossless(reply.body.toString('utf8'))
    } catch (error) {
      throw new LocalApiError('bad-reply', `the answer to ${path} is not JSON`, { status: reply.status, cause: error })
    }
  }

  async #object<T>(method: string, path: string, options: RequestOptions & { json?: unknown } = {}): Promise<T> {
    const value = await this.json(method, path, options)
    if (typeof value === 'object' && value !== null) return value as T
    throw new LocalApiError('bad-reply', `the answer to ${path} is not an object`)
  }

  async status(options: CallOptions & { peers?: boolean } = {}): Promise<Status> {
    const { peers, ...rest } = options
    return parseStatus(await this.json('GET', 'status', peers === false ? { ...rest, query: { peers: false } } : rest))
  }

  async prefs(options: CallOptions = {}): Promise<Prefs> {
    return parsePrefs(await this.json('GET', 'prefs', options))
  }

  async editPrefs(masked: MaskedPrefs, options: CallOptions = {}): Promise<Prefs> {
    return parsePrefs(await this.json('PATCH', 'prefs', { ...options, json: masked }))
  }

  /** The daemon's objection to these prefs, or undefined. */
  async checkPrefs(prefs: Prefs, options: CallOptions = {}): Promise<string | undefined> {
    const reply = await this.#object<{ Error?: string }>('POST', 'check-prefs', { ...options, json: prefs })
    return reply.Error || undefined
  }

  async start(start: StartOptions, options: CallOptions = {}): Promise<void> {
    await this.request('POST', 'start', {
      ...options,
      expect: [204],
      body: writeLossless(start),
      headers: { 'Content-Type': 'application/json' },
    })
  }

  async loginInteractive(options: CallOptions = {}): Promise<void> {
    await this.request('POST', 'login-interactive', { ...options, expect: [204] })
  }

  async logout(options: CallOptions = {}): Promise<void> {
    await this.request('POST', 'logout', { ...options, expect: [204] })
  }

  async profiles(options: CallOptions = {}): Promise<LoginProfile[]> {
    return ((await this.json('GET', 'profiles/', options)) as LoginProfile[] | null) ?? []
  }

  currentProfile(options: CallOptions = {}): Promise<LoginProfile> {
    return this.#object<LoginProfile>('GET', 'profiles/current', options)
  }

  async newProfile(options: CallOptions = {}): Promise<void> {
    await this.request('PUT', 'profiles/', { ...options, expect: [201] })
  }

  async switchProfile(id: string, options: CallOptions = {}): Promise<void> {
    await this.request('POST', `profiles/${encodeURIComponent(id)}`, { ...options, expect: [204] })
  }

  async deleteProfile(id: string, options: CallOptions = {}): Promise<void> {
    await this.request('DELETE', `profiles/${encodeURIComponent(id)}`, { ...options, expect: [204] })
  }

  /** Waits for the pong; give a signal. A target that cannot be pinged is `Err` in the result. */
  async ping(ip: string, type: PingType, options: CallOptions & { size?: number } = {}): Promise<PingResult> {
    const { size, ...rest } = options
    const query = { ip, type, size: size === 0 ? undefined : size }
    return parsePing(await this.json('POST', 'ping', { timeoutMs: 0, ...rest, query }))
  }

  whois(addr: string, options: CallOptions & { proto?: string } = {}): Promise<WhoIs> {
    const { proto, ...rest } = options
    return this.#object<WhoIs>('GET', 'whois', { ...rest, query: { addr, proto: proto || undefined } })
  }

  userProfile(id: string, options: CallOptions = {}): Promise<UserProfile> {
    return this.#object<UserProfile>('GET', 'user-profile', { ...options, query: { id } })
  }

  async derpMap(options: CallOptions = {}): Promise<DerpMap | null> {
    return (await this.json('GET', 'derpmap', options)) as DerpMap | null
  }

  suggestExitNode(options: CallOptions = {}): Promise<ExitNodeSuggestion> {
    return this.#object<ExitNodeSuggestion>('GET', 'suggest-exit-node', options)
  }

  /** null when there is none. */
  async serveConfig(options: CallOptions = {}): Promise<{ config: ServeConfig | null; etag: string }> {
    const reply = await this.request('GET', 'serve-config', options)
    const config = parseLossless(reply.body.toString('utf8')) as ServeConfig | null
    return { config, etag: String(reply.headers.etag ?? '') }
  }

  /** `etag`: of the config that this one was made from; "" = whatever it is now. Code `precondition-failed`: it is another one. */
  async setServeConfig(config: ServeConfig, etag: string, options: CallOptions = {}): Promise<void> {
    await this.request('POST', 'serve-config', {
      ...options,
      body: writeLossless(config),
      headers: { 'Content-Type': 'application/json', ...(etag === '' ? {} : { 'If-Match': etag }) },
    })
  }

  /** Key and certificate, PEM. Code `failed`: why there is none. */
  async certificate(name: string, minValidityMs: number, options: CallOptions = {}): Promise<string> {
    const query = { type: 'pair', min_validity: `${Math.round(minValidityMs / 1000)}s` }
    const reply = await this.request('GET', `cert/${encodeURIComponent(name)}`, {
      timeoutMs: COMMAND_TIMEOUT_MS,
      ...options,
      query,
    })
    return reply.body.toString('utf8')
  }

  /** undefined: not our daemon. */
  pintailAuthority(options: CallOptions = {}): Promise<CertificateAuthorityReport | undefined> {
    return orUndefined(this.#object<CertificateAuthorityReport>('GET', 'pintail/authority', options))
  }

  /** undefined: not our daemon. */
  pintailFeatures(options: CallOptions = {}): Promise<PintailFeatures | undefined> {
    return orUndefined(this.#object<PintailFeatures>('GET', 'pintail/features', options))
  }

  /** undefined: not our daemon. */
  pintailPaths(options: CallOptions = {}): Promise<PathReports | undefined> {
    return orUndefined(this.#object<PathReports>('GET', 'pintail/paths', options))
  }

  /** undefined: not our daemon. */
  pintailDatapath(options: CallOptions = {}): Promise<DatapathReport | undefined> {
    return orUndefined(this.#object<DatapathReport>('GET', 'pintail/datapath', options))
  }

  /** What a change of the network would do; nothing changes. */
  previewChange(change: ChangePreviewRequest, options: CallOptions = {}): Promise<ChangePreview> {
    return this.#object<ChangePreview>('POST', 'pintail/changes/preview', { ...options, json: change })
  }

  /** Made at once, and taken back at the deadline unless it is confirmed. Status 409: another one waits. */
  applyChange(change: ChangeRequest, options: CallOptions = {}): Promise<AppliedChange> {
    return this.#object<AppliedChange>('POST', 'pintail/changes', { ...options, json: change })
  }

  /** Status 409: it does not wait any longer, and why. */
  confirmChange(Id: string, options: CallOptions = {}): Promise<ChangesReport> {
    return this.#object<ChangesReport>('POST', 'pintail/changes/confirm', { ...options, json: { Id } })
  }

  revertChange(Id: string, options: CallOptions = {}): Promise<ChangesReport> {
    return this.#object<ChangesReport>('POST', 'pintail/changes/revert', { ...options, json: { Id } })
  }

  /** undefined: not our daemon. */
  pendingChanges(options: CallOptions = {}): Promise<ChangesReport | undefined> {
    return orUndefined(this.#object<ChangesReport>('GET', 'pintail/changes', options))
  }

  /** undefined: not our daemon. What cannot be asked is a {@link LocalApiError} with a sentence. */
  explainRoute(
    asked: { to: string; from?: string; uid?: number; user?: string; proto?: string; port?: number },
    options: CallOptions = {},
  ): Promise<RouteExplanation | undefined> {
    const { to, from, uid, user, proto, port } = asked
    const query = {
      to,
      from: from || undefined,
      uid,
      user: user || undefined,
      proto: proto || undefined,
      port: port || undefined,
    }
    return orUndefined(
      this.#object<RouteExplanation>('GET', 'pintail/route-explain', {
        timeoutMs: EXPLAIN_TIMEOUT_MS,
        ...options,
        query,
      }),
    )
  }

  /** Whom files can be sent to. */
  async fileTargets(options: CallOptions = {}): Promise<FileTarget[]> {
    return ((await this.json('GET', 'file-targets', options)) as FileTarget[] | null) ?? []
  }

  /** Resolves when the peer has it. The stream is ended in any case. */
  async putFile(
    to: StableNodeId,
    name: string,
    body: Readable,
    options: CallOptions & { length?: number } = {},
  ): Promise<void> {
    const { length, ...rest } = options
    const headers: Record<string, string> = length === undefined ? {} : { 'Content-Length': String(length) }
    const path = `file-put/${encodeURIComponent(to)}/${encodeURIComponent(name)}`
    await this.request('PUT', path, { timeoutMs: 0, ...rest, body, headers, expect: [200] })
  }

  /** The daemon keeps it until the device appears. Resolves when it has all of it; only ours can. */
  async queueFile(
    to: StableNodeId,
    name: string,
    body: Readable,
    options: CallOptions & { length?: number } = {},
  ): Promise<string> {
    const { length, ...rest } = options
    const headers: Record<string, string> = length === undefined ? {} : { 'Content-Length': String(length) }
    const query = { to, name }
    const { ID } = await this.#object<{ ID: string }>('PUT', 'pintail/transfers', {
      ...{ timeoutMs: 0, ...rest, body, headers, query },
    })
    return ID
  }

  async queuedFiles(options: CallOptions = {}): Promise<QueuedTransfer[]> {
    return ((await this.json('GET', 'pintail/transfers', options)) as QueuedTransfer[] | null) ?? []
  }

  async cancelQueuedFile(id: string, options: CallOptions = {}): Promise<void> {
    await this.request('DELETE', 'pintail/transfers', { ...options, query: { id }, expect: [204] })
  }

  /** With `waitSeconds` as soon as there is one. */
  async waitingFiles(options: CallOptions & { waitSeconds?: number } = {}): Promise<WaitingFile[]> {
    const { waitSeconds, ...rest } = options
    const wait =
      waitSeconds === undefined ? {} : { timeoutMs: (waitSeconds + 10) * 1000, query: { waitsec: waitSeconds } }
    return ((await this.json('GET', 'files/', { ...wait, ...rest })) as WaitingFile[] | null) ?? []
  }

  /** The bytes are the caller's to read or to destroy. */
  async openFile(name: string, options: CallOptions = {}): Promise<{ size: number; body: Readable }> {
    const body = await this.#transport.open('GET', `${PREFIX}files/${encodeURIComponent(name)}`, options)
    const size = Number(body.headers['content-length'])
    if (Number.isInteger(size)) return { size, body }
    body.destroy()
    throw new LocalApiError('bad-reply', 'the daemon does not say how long the file is')
  }

  async deleteFile(name: string, options: CallOptions = {}): Promise<void> {
    await this.request('DELETE', `files/${encodeURIComponent(name)}`, { ...options, expect: [204] })
  }

  /** Resolves when the daemon has registered the watcher. */
  watch(options: WatchOptions): Promise<Watch> {
    return openWatch(this.#transport, options)
  }

  async *watchBus(options: WatchOptions): AsyncGenerator<Notify> {
    yield* await this.watch(options)
  }
}

/** A stock daemon answers 404 for what only ours has. */
async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof LocalApiError && error.code === 'not-found') return undefined
    throw error
  }
}
