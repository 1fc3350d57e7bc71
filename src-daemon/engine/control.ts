/**
 * The client of one coordination server: signs in, follows the map, says what changed here. It drives the machines
 * `login` and `netmap` over a ControlTransport and tells the backend through ControlEvents. Not the transport
 * (`io/control`), not the decisions that follow from a map (`backend.ts`).        [docs/rules/control.md CTL-3 to 6]
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CertificateRequest } from '../../src-contract/control/certificates.ts'
import type { MapRequest, MapResponse, UserProfile } from '../../src-contract/control/map.ts'
import type { RegisterRequest, RegisterResponse } from '../../src-contract/control/register.ts'
import { CAPABILITY_VERSION } from '../../src-contract/control/versions.ts'
import { type NodeKeyText, ZERO_TIME } from '../../src-contract/ids.ts'
import { ControlRetry } from '../../src-protocol/machines/control-retry.ts'
import { type LoginEffect, LoginMachine, type LoginRequest } from '../../src-protocol/machines/login.ts'
import {
  expirePeers,
  foldMapResponse,
  isEmptyDelta,
  isSelfExpired,
  type Netmap,
  nextExpiry,
} from '../../src-protocol/machines/netmap.ts'
import { toBase64 } from '../../src-protocol/wire/bytes.ts'
import type { Crypto } from '../../src-protocol/wire/crypto.ts'
import { isJsonObject, parseJson, writeJson } from '../../src-protocol/wire/json.ts'
import { nodeKeyText, Secret, ZERO_NODE_KEY } from '../../src-protocol/wire/keys.ts'
import { Http2Control } from '../io/control/http2.ts'
import { ControlError, type ControlTransport } from '../io/control/port.ts'
import type { SocketOpenerOptions } from '../io/control/sockets.ts'
import type { Log } from '../io/log/log.ts'
import { PingResponder } from './control-ping.ts'
import type { ControlLink, ControlOptions, NodeFacts, OpenControl } from './control-port.ts'
import { pollMap, type StreamEnd } from './control-stream.ts'
import { ControlUpdates } from './control-updates.ts'

export interface ControlIo {
  readonly crypto: Crypto
  readonly log: Log
  readonly wallMs: () => number
  /** Monotonic. */
  readonly nowMs: () => number
  readonly random01: () => number
  readonly sockets?: SocketOpenerOptions
  /** Instead of ts2021; for tests. */
  readonly openTransport?: (options: ControlOptions) => ControlTransport
  readonly watchdogMs?: number
}

/** What the daemon's composition root hands to the backend. */
export function controlOpener(io: ControlIo): OpenControl {
  return (options) => new ControlClient(io, options)
}

const LOGOUT_TIMEOUT_MS = 10_000
const CERTIFICATE_TIMEOUT_MS = 30_000
const MAX_CERTIFICATE_BYTES = 64 << 10
/** In the past, and not the zero time, which means "no wish". */
const LOGOUT_EXPIRY = '1970-01-01T00:02:03Z'
const ZERO_LOCK_KEY = `nlpub:${'0'.repeat(64)}`
const MAX_REGISTER_BYTES = 1 << 20
const MAX_SERVER_SLEEP_S = 300
/** Our choice: a stream that ends sooner is a fault (two daemons with one key fight like that), and is not hurried. */
const QUICK_END_MS = 10_000
const QUICK_END_STEP_MS = 100
const MAX_QUICK_END_WAIT_MS = 30_000
/** Timers cannot wait longer than 2^31 ms; looking at the clock once an hour also notices a clock that was set. */
const MAX_EXPIRY_WAIT_MS = 3_600_000

export class ControlClient implements ControlLink {
  readonly #io: ControlIo
  readonly #o: ControlOptions
  readonly #log: Log
  readonly #transport: ControlTransport
  readonly #login: LoginMachine
  readonly #updates: ControlUpdates
  readonly #pings = new PingResponder()
  readonly #closing = new AbortController()
  readonly #pollRetry = new ControlRetry()
  #quickEnds = 0
  #facts: NodeFacts
  #nodeKey: Uint8Array | undefined
  #oldNodeKey: Uint8Array | undefined
  /** The key that the server accepted last; the stream runs under it. */
  #sessionKey: NodeKeyText | undefined
  #netmap: Netmap | undefined
  /** Effects are performed one after another: storing a key comes before sending it. */
  #queue: Promise<void> = Promise.resolve()
  #registering: AbortController | undefined
  #polling: AbortController | undefined
  /** Ends the wait before the next poll. */
  #hurry = new AbortController()
  #loginTimer: NodeJS.Timeout | undefined
  #expiryTimer: NodeJS.Timeout | undefined
  #isInPoll = false

  constructor(io: ControlIo, o: ControlOptions) {
    this.#io = io
    this.#o = o
    this.#log = io.log.part('control')
    this.#facts = o.facts
    this.#nodeKey = o.nodeKey?.expose()
    this.#oldNodeKey = o.oldNodeKey?.expose()
    this.#transport =
      io.openTransport?.(o) ??
      new Http2Control({
        crypto: io.crypto,
        serverUrl: o.serverUrl,
        machineKey: o.machineKey,
        log: this.#log,
        wallMs: io.wallMs,
        ...(io.sockets === undefined ? {} : { sockets: io.sockets }),
      })
    this.#login = new LoginMachine({ crypto: io.crypto, retry: new ControlRetry(), random01: io.random01 })
    this.#updates = new ControlUpdates({
      send: (body, signal) => this.#sendUpdate(body, signal),
      retry: new ControlRetry(),
      random01: io.random01,
    })
  }

  login(options: { readonly authKey: string; readonly interactive: boolean }): void {
    this.#perform(
      this.#login.start({
        nodeKey: this.#nodeKey,
        oldNodeKey: this.#oldNodeKey,
        isExpired: this.#netmap !== undefined && isSelfExpired(this.#netmap, this.#io.wallMs()),
        authKey: options.authKey,
        isInteractive: options.interactive,
      }),
    )
  }

  update(facts: NodeFacts): void {
    this.#facts = facts
    this.#offerUpdate()
  }

  networkChanged(): void {
    this.#transport.reset()
    this.#hurry.abort()
    this.#hurry = new AbortController()
  }

  async certificate(request: Uint8Array): Promise<string> {
    if (this.#sessionKey === undefined) throw new Error('not signed in')
    const body: CertificateRequest = { NodeKey: this.#sessionKey, Request: toBase64(request) }
    const response = await this.#transport.request({
      method: 'POST',
      path: '/machine/pintail/certificate',
      body: writeJson(body),
      signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(CERTIFICATE_TIMEOUT_MS)]),
    })
    const text = await response.text(MAX_CERTIFICATE_BYTES)
    if (response.status !== 200) throw new Error(`the coordination server refuses a certificate: ${text.slice(0, 200)}`)
    const reply = parseJson(text)
    const certificate = reply.ok && isJsonObject(reply.value) ? reply.value.Certificate : undefined
    if (typeof certificate !== 'string') throw new Error('the coordination server answers with something else')
    return certificate
  }

  async logout(): Promise<void> {
    this.#stop()
    if (this.#nodeKey === undefined) return
    const request = { nodeKey: this.#nodeKey, oldNodeKey: undefined, authKey: '', followup: '' }
    const response = await this.#transport.request({
      method: 'POST',
      path: '/machine/register',
      body: writeJson({ ...this.#registerRequest(request), Expiry: LOGOUT_EXPIRY }),
      signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(LOGOUT_TIMEOUT_MS)]),
    })
    response.body.destroy()
  }

  close(): void {
    this.#closing.abort()
    this.#stop()
    this.#transport.close()
  }

  #stop(): void {
    this.#registering?.abort()
    this.#polling?.abort()
    this.#polling = undefined
    this.#updates.stop()
    this.#login.stop()
    clearTimeout(this.#loginTimer)
    clearTimeout(this.#expiryTimer)
    this.#setInPoll(false)
  }

  // Login -----------------------------------------------------------------------------------------------------------

  #perform(effects: readonly LoginEffect[]): void {
    this.#queue = this.#queue
      .then(async () => {
        for (const effect of effects) {
          if (this.#closing.signal.aborted || !(await this.#performOne(effect))) break
        }
        this.#armLogin()
      })
      .catch((error: unknown) => this.#log.error('login-step-failed', { error }))
  }

  /** False ends the list. */
  async #performOne(effect: LoginEffect): Promise<boolean> {
    const { events } = this.#o
    switch (effect.kind) {
      case 'send':
        void this.#register(effect.attempt, effect.request)
        return true
      case 'cancel':
        this.#registering?.abort()
        return true
      case 'saveKey':
        return await this.#saveKey(effect.nodeKey, effect.oldNodeKey)
      case 'authUrl':
        events.onAuthUrl(effect.url)
        return true
      case 'needsLogin':
        events.onNeedsLogin(effect.reason)
        return true
      case 'refused':
        events.onError({ kind: 'refused', text: effect.text })
        return true
      case 'unsupportedVersion':
        events.onError({ kind: 'unsupported-version', text: `the server is too new or too old: ${effect.text}` })
        return true
      case 'serverTrouble':
        events.onError({ kind: 'unreachable', text: `the server answers with error ${effect.status}: ${effect.text}` })
        return true
      case 'done':
        this.#handleDone(effect.nodeKey, effect.response)
        return true
    }
  }

  /** A key that cannot be stored must not become known to the server: after a restart nobody would have it. */
  async #saveKey(nodeKey: Uint8Array, oldNodeKey: Uint8Array | undefined): Promise<boolean> {
    try {
      await this.#o.events.onNodeKey(new Secret(nodeKey), oldNodeKey === undefined ? undefined : new Secret(oldNodeKey))
    } catch (error) {
      this.#login.stop()
      const detail = error instanceof Error ? error.message : String(error)
      this.#o.events.onError({ kind: 'other', text: `the new key cannot be stored: ${detail}` })
      return false
    }
    this.#nodeKey = nodeKey
    this.#oldNodeKey = oldNodeKey
    return true
  }

  async #register(attempt: number, request: LoginRequest): Promise<void> {
    this.#registering?.abort()
    const registering = new AbortController()
    this.#registering = registering
    const signal = AbortSignal.any([registering.signal, this.#closing.signal])
    try {
      const { status, retryAfterMs, text } = await this.#transport.request({
        method: 'POST',
        path: '/machine/register',
        body: writeJson(this.#registerRequest(request)),
        signal,
      })
      const body = await text(MAX_REGISTER_BYTES)
      if (status !== 200) return this.#replied(attempt, { kind: 'status', status, text: body, retryAfterMs })
      const json = parseJson(body)
      if (!json.ok || !isJsonObject(json.value)) throw new ControlError('other', 'the server sent no readable answer')
      this.#replied(attempt, { kind: 'response', response: json.value as RegisterResponse })
    } catch (error) {
      if (signal.aborted) return
      this.#tellError(error)
      this.#replied(attempt, { kind: 'failed' })
    }
  }

  #replied(attempt: number, reply: Parameters<LoginMachine['handleReply']>[1]): void {
    this.#perform(this.#login.handleReply(attempt, reply, this.#io.nowMs()))
  }

  #registerRequest(request: LoginRequest): RegisterRequest {
    const publicText = (key: Uint8Array): NodeKeyText => nodeKeyText(this.#io.crypto.x25519PublicKey(key))
    return {
      Version: CAPABILITY_VERSION,
      NodeKey: publicText(request.nodeKey),
      OldNodeKey: request.oldNodeKey === undefined ? ZERO_NODE_KEY : publicText(request.oldNodeKey),
      NLKey: ZERO_LOCK_KEY,
      ...(request.authKey === '' ? {} : { Auth: { AuthKey: request.authKey } }),
      Expiry: ZERO_TIME,
      Followup: request.followup,
      Hostinfo: this.#facts.hostinfo,
      ...(this.#o.ephemeral ? { Ephemeral: true } : {}),
      NodeKeySignature: null,
    }
  }

  #armLogin(): void {
    clearTimeout(this.#loginTimer)
    const dueAt = this.#login.nextWake()
    if (dueAt === undefined || this.#closing.signal.aborted) return
    const wake = (): void => this.#perform(this.#login.wake(this.#io.nowMs()))
    this.#loginTimer = setTimeout(wake, Math.max(1, Math.ceil(dueAt - this.#io.nowMs())))
  }

  #handleDone(nodeKey: Uint8Array, response: RegisterResponse): void {
    this.#sessionKey = nodeKeyText(this.#io.crypto.x25519PublicKey(nodeKey))
    this.#log.info('signed-in', { nodeKey: this.#sessionKey })
    this.#o.events.onAuthenticated({ user: userOf(response) })
    this.#updates.forget()
    this.#startPolling(this.#sessionKey)
  }

  // Map -------------------------------------------------------------------------------------------------------------

  #startPolling(nodeKey: NodeKeyText): void {
    this.#polling?.abort()
    const polling = new AbortController()
    this.#polling = polling
    this.#offerUpdate()
    void this.#poll(nodeKey, AbortSignal.any([polling.signal, this.#closing.signal]))
  }

  async #poll(nodeKey: NodeKeyText, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedAt = this.#io.nowMs()
      const hurry = this.#hurry.signal
      const end = await this.#pollOnce(nodeKey, signal, hurry)
      if (signal.aborted) return
      this.#updates.stop()
      const quickEndMs = this.#isInPoll ? this.#quickEndWait(startedAt) : 0
      this.#setInPoll(false)
      const waitMs = Math.max(this.#pollRetry.next(this.#io.random01()), quickEndMs)
      const retryAfterMs = end?.kind === 'status' ? (end.retryAfterMs ?? 0) : 0
      await pause(Math.max(waitMs, retryAfterMs), AbortSignal.any([signal, hurry]))
      if (signal.aborted) return
      if (end?.kind === 'status' && end.status === 404) {
        // the server does not know us any more: sign in again with the same key and see what it says
        this.#log.info('unknown-to-server', {})
        this.#polling = undefined
        this.login({ authKey: '', interactive: false })
        return
      }
    }
  }

  /** Undefined: the connection broke, which has been told. */
  async #pollOnce(nodeKey: NodeKeyText, signal: AbortSignal, hurry: AbortSignal): Promise<StreamEnd | undefined> {
    let isFirst = true
    try {
      const end = await pollMap({
        transport: this.#transport,
        body: writeJson({ ...this.#mapRequest(nodeKey), Compress: 'zstd', KeepAlive: true, Stream: true }),
        signal,
        ...(this.#io.watchdogMs === undefined ? {} : { watchdogMs: this.#io.watchdogMs }),
        onMessage: async (message) => {
          await this.#handleMessage(message, isFirst, signal)
          if (message.KeepAlive !== true) isFirst = false
        },
      })
      if (end.kind === 'status' && end.status !== 404) {
        const isVersion = end.status === 400 && /unsupported client version/i.test(end.text)
        const text = `the server refuses the map (${end.status}): ${end.text}`
        this.#o.events.onError({ kind: isVersion ? 'unsupported-version' : 'other', text })
      }
      return end
    } catch (error) {
      // after a change of network the connection was dropped on purpose
      if (!signal.aborted && !hurry.aborted) this.#tellError(error)
      return undefined
    }
  }

  async #handleMessage(message: MapResponse, isFirst: boolean, signal: AbortSignal): Promise<void> {
    if (message.PingRequest) void this.#answerPing(message.PingRequest, signal)
    if (message.KeepAlive === true) return
    const context = { wallMs: this.#io.wallMs(), isNewStream: isFirst }
    const folded = foldMapResponse(this.#netmap, message, context)
    if (!folded.ok) throw new ControlError('other', 'the map does not begin with this node')
    if (isFirst) {
      this.#pollRetry.reset()
      this.#setInPoll(true)
      this.#updates.start()
    }
    const { netmap, delta } = folded.value
    this.#netmap = netmap
    if (delta.full || !isEmptyDelta(delta)) this.#o.events.onNetmap(netmap, delta)
    this.#armExpiry()
    const sleepS = Math.min(message.Debug?.SleepSeconds ?? 0, MAX_SERVER_SLEEP_S)
    if (sleepS > 0) await pause(sleepS * 1000, signal)
  }

  async #answerPing(request: NonNullable<MapResponse['PingRequest']>, signal: AbortSignal): Promise<void> {
    try {
      const result = await this.#pings.answer(request, { transport: this.#transport, fetch, signal })
      this.#log.debug('server-ping', { types: request.Types ?? '', result })
    } catch (error) {
      if (!signal.aborted) this.#log.debug('server-ping-failed', { error })
    }
  }

  #mapRequest(nodeKey: NodeKeyText): MapRequest {
    const { hostinfo, endpoints, discoKey } = this.#facts
    return {
      Version: CAPABILITY_VERSION,
      NodeKey: nodeKey,
      DiscoKey: discoKey,
      Hostinfo: hostinfo,
      ...(endpoints.length === 0
        ? {}
        : { Endpoints: endpoints.map((e) => e.address), EndpointTypes: endpoints.map((e) => e.type) }),
    }
  }

  #quickEndWait(startedAt: number): number {
    this.#quickEnds = this.#io.nowMs() - startedAt < QUICK_END_MS ? this.#quickEnds + 1 : 0
    return Math.min(Math.max(0, this.#quickEnds - 1) ** 2 * QUICK_END_STEP_MS, MAX_QUICK_END_WAIT_MS)
  }

  #offerUpdate(): void {
    this.#updates.offer(() => {
      const nodeKey = this.#sessionKey ?? ZERO_NODE_KEY
      return writeJson({ ...this.#mapRequest(nodeKey), OmitPeers: true, Stream: false })
    })
  }

  async #sendUpdate(body: string, signal: AbortSignal): Promise<boolean> {
    try {
      const response = await this.#transport.request({ method: 'POST', path: '/machine/map', body, signal })
      await response.text(MAX_REGISTER_BYTES)
      return response.status === 200
    } catch (error) {
      if (!signal.aborted) this.#log.debug('update-failed', { error })
      return false
    }
  }

  #armExpiry(): void {
    clearTimeout(this.#expiryTimer)
    if (this.#netmap === undefined || this.#closing.signal.aborted) return
    const wallMs = this.#io.wallMs()
    const next = nextExpiry(this.#netmap, wallMs)
    if (next === undefined) return
    this.#expiryTimer = setTimeout(() => this.#expire(), Math.min(next - wallMs + 1, MAX_EXPIRY_WAIT_MS))
  }

  #expire(): void {
    const expired = expirePeers(this.#netmap!, this.#io.wallMs())
    if (expired !== undefined) {
      this.#netmap = expired.netmap
      this.#o.events.onNetmap(expired.netmap, expired.delta)
    }
    this.#armExpiry()
  }

  #setInPoll(isInPoll: boolean): void {
    if (this.#isInPoll === isInPoll) return
    this.#isInPoll = isInPoll
    this.#o.events.onMapPoll(isInPoll)
  }

  #tellError(error: unknown): void {
    const problem =
      error instanceof ControlError ? error : new ControlError('other', 'the control connection failed', error)
    this.#log.info('control-error', { error })
    this.#o.events.onError({ kind: problem.kind, text: problem.message })
  }
}

function userOf(response: RegisterResponse): UserProfile {
  const { Login, User } = response
  const picture = Login?.ProfilePicURL || User?.ProfilePicURL
  return {
    ID: User?.ID ?? Login?.ID ?? 0,
    LoginName: Login?.LoginName ?? '',
    DisplayName: Login?.DisplayName || (User?.DisplayName ?? ''),
    ...(picture ? { ProfilePicURL: picture } : {}),
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined) // cancelled is over, too
}
