/**
 * Signing a node in at a coordination server: which key is registered, what each answer means, when to ask again.
 * Sans-IO: the shell sends the requests and tells the answers. Not the session that follows (`engine/control.ts`).
 * [control.md §3.3; docs/rules/control.md CTL-3]
 */
import type { RegisterResponse } from '../../src-contract/control/register.ts'
import type { Ms } from '../../src-contract/ids.ts'
import type { Crypto } from '../wire/crypto.ts'

export interface LoginStart {
  /** What the profile holds; a key that was never registered is as good as one that was. */
  readonly nodeKey: Uint8Array | undefined
  readonly oldNodeKey: Uint8Array | undefined
  /** The map said that the own key's time is over. */
  readonly isExpired: boolean
  readonly authKey: string
  /** A person asked to sign in: a key that is still good does not count as an answer. */
  readonly isInteractive: boolean
}

/** One `POST /machine/register`. */
export interface LoginRequest {
  readonly nodeKey: Uint8Array
  readonly oldNodeKey: Uint8Array | undefined
  readonly authKey: string
  /** The page that somebody should visit; the request lasts until they did. */
  readonly followup: string
}

export type LoginReply =
  | { readonly kind: 'response'; readonly response: RegisterResponse }
  /** `retryAfterMs` from the header of that name. */
  | { readonly kind: 'status'; readonly status: number; readonly text: string; readonly retryAfterMs: Ms | undefined }
  /** No answer at all; the shell has told why. */
  | { readonly kind: 'failed' }

export type LoginEffect =
  /** Anything but the answer to the newest attempt is stale; an older request is to be cancelled. */
  | { readonly kind: 'send'; readonly attempt: number; readonly request: LoginRequest }
  | { readonly kind: 'cancel' }
  /** To be stored before the next effect is done: the server is about to learn this key, or just did. */
  | { readonly kind: 'saveKey'; readonly nodeKey: Uint8Array; readonly oldNodeKey: Uint8Array | undefined }
  | { readonly kind: 'authUrl'; readonly url: string }
  /** Without a person it does not go on. */
  | { readonly kind: 'needsLogin'; readonly reason: 'key-expired' | 'not-registered' }
  | { readonly kind: 'refused'; readonly text: string; readonly isFinal: boolean }
  | { readonly kind: 'unsupportedVersion'; readonly text: string }
  /** The server's HTTP is in trouble; it is asked again. */
  | { readonly kind: 'serverTrouble'; readonly status: number; readonly text: string }
  | {
      readonly kind: 'done'
      readonly nodeKey: Uint8Array
      readonly isNewKey: boolean
      readonly response: RegisterResponse
    }

export interface Retry {
  next(random01: number): Ms
  reset(): void
}

const DEFAULT_RETRY_AFTER_MIN_MS = 5_000
const MAX_RETRY_AFTER_MS = 3_600_000
/** Our choice: a server that said no is not asked again sooner than this. */
const REFUSED_RETRY_MS = 10_000
const MAX_SHOWN_CHARACTERS = 200

interface Attempt {
  readonly request: LoginRequest
  /** Made for this login, so the server cannot call it expired. */
  readonly isFreshKey: boolean
  /** Stored in the profile already. */
  readonly isSaved: boolean
}

export class LoginMachine {
  readonly #crypto: Crypto
  readonly #retry: Retry
  readonly #random01: () => number
  #start: LoginStart | undefined
  #attempt: Attempt | undefined
  #number = 0
  #isInFlight = false
  #dueAt: Ms | undefined
  #shownUrl = ''

  constructor(o: { crypto: Crypto; retry: Retry; random01: () => number }) {
    this.#crypto = o.crypto
    this.#retry = o.retry
    this.#random01 = o.random01
  }

  /** Whether a login is under way, waiting for a person or for its next try. */
  get isActive(): boolean {
    return this.#attempt !== undefined
  }

  start(start: LoginStart): LoginEffect[] {
    const effects = this.stop()
    this.#start = start
    this.#retry.reset()
    const isUsable = start.nodeKey !== undefined && !start.isExpired
    if (isUsable) return [...effects, ...this.#send(this.#requestFor(start.nodeKey!, start.oldNodeKey), false, true)]
    return [...effects, ...this.#sendFresh(true)]
  }

  stop(): LoginEffect[] {
    const effects: LoginEffect[] = this.#isInFlight ? [{ kind: 'cancel' }] : []
    this.#start = undefined
    this.#attempt = undefined
    this.#isInFlight = false
    this.#dueAt = undefined
    this.#shownUrl = ''
    this.#number++
    return effects
  }

  handleReply(attempt: number, reply: LoginReply, now: Ms): LoginEffect[] {
    if (attempt !== this.#number || this.#attempt === undefined || !this.#isInFlight) return []
    this.#isInFlight = false
    switch (reply.kind) {
      case 'failed':
        return this.#later(now)
      case 'status':
        return this.#handleStatus(reply, now)
      case 'response':
        return this.#handleResponse(reply.response, this.#attempt, now)
    }
  }

  wake(now: Ms): LoginEffect[] {
    if (this.#dueAt === undefined || now < this.#dueAt || this.#attempt === undefined) return []
    this.#dueAt = undefined
    const { request, isFreshKey, isSaved } = this.#attempt
    return this.#send(request, isFreshKey, isSaved)
  }

  nextWake(): Ms | undefined {
    return this.#dueAt
  }

  #handleStatus(reply: { status: number; text: string; retryAfterMs: Ms | undefined }, now: Ms): LoginEffect[] {
    const { request } = this.#attempt!
    const text = reply.text.slice(0, MAX_SHOWN_CHARACTERS)
    if (reply.status === 429) {
      const wait = reply.retryAfterMs ?? DEFAULT_RETRY_AFTER_MIN_MS * (1 + this.#random01())
      this.#dueAt = now + Math.min(wait, MAX_RETRY_AFTER_MS)
      return []
    }
    if (reply.status === 400 && /unsupported client version/i.test(text)) {
      return [...this.stop(), { kind: 'unsupportedVersion', text }]
    }
    if (request.followup !== '' && (reply.status === 404 || reply.status === 410)) return this.#startOver(now)
    return [{ kind: 'serverTrouble', status: reply.status, text }, ...this.#later(now)]
  }

  #handleResponse(response: RegisterResponse, attempt: Attempt, now: Ms): LoginEffect[] {
    const { request } = attempt
    if (response.Error) return this.#handleRefusal(response.Error.slice(0, MAX_SHOWN_CHARACTERS), request, now)
    if (response.NodeKeyExpired) {
      if (attempt.isFreshKey) {
        return [...this.stop(), { kind: 'refused', text: 'the server calls a new key expired', isFinal: true }]
      }
      const isUnattended = !this.#start!.isInteractive && request.authKey === ''
      const effects = this.#sendFresh(true)
      return isUnattended ? [{ kind: 'needsLogin', reason: 'key-expired' }, ...effects] : effects
    }
    if (response.AuthURL) return this.#handleAuthUrl(response.AuthURL, attempt, now)

    const isForced = this.#start!.isInteractive && request.followup === ''
    if (isForced && !attempt.isFreshKey) return this.#sendFresh(false) // good as it is, but a new login is wanted
    const done: LoginEffect[] = attempt.isSaved
      ? []
      : [{ kind: 'saveKey', nodeKey: request.nodeKey, oldNodeKey: request.oldNodeKey }]
    this.stop()
    this.#retry.reset()
    return [...done, { kind: 'done', nodeKey: request.nodeKey, isNewKey: attempt.isFreshKey, response }]
  }

  #handleAuthUrl(url: string, attempt: Attempt, now: Ms): LoginEffect[] {
    const effects: LoginEffect[] = []
    const isNews = url !== this.#shownUrl
    if (isNews) {
      if (this.#shownUrl === '' && !this.#start!.isInteractive) {
        effects.push({ kind: 'needsLogin', reason: 'not-registered' })
      }
      effects.push({ kind: 'authUrl', url })
      this.#shownUrl = url
      this.#retry.reset()
    }
    const request = { ...attempt.request, followup: url }
    if (isNews) return [...effects, ...this.#send(request, attempt.isFreshKey, attempt.isSaved)]
    this.#attempt = { ...attempt, request }
    return this.#later(now) // the same page once more: the server ended the wait, not the login
  }

  #handleRefusal(text: string, request: LoginRequest, now: Ms): LoginEffect[] {
    if (request.followup !== '') return this.#startOver(now)
    const isFinal = request.authKey !== '' || this.#start!.isInteractive
    if (isFinal) return [...this.stop(), { kind: 'refused', text, isFinal }]
    this.#dueAt = now + Math.max(REFUSED_RETRY_MS, this.#retry.next(this.#random01()))
    return [{ kind: 'refused', text, isFinal }]
  }

  /** The server has forgotten the page: ask for another one. */
  #startOver(now: Ms): LoginEffect[] {
    this.#attempt = { ...this.#attempt!, request: { ...this.#attempt!.request, followup: '' } }
    return this.#later(now)
  }

  #later(now: Ms): LoginEffect[] {
    this.#dueAt = now + this.#retry.next(this.#random01())
    return []
  }

  #requestFor(nodeKey: Uint8Array, oldNodeKey: Uint8Array | undefined): LoginRequest {
    return { nodeKey, oldNodeKey, authKey: this.#start!.authKey, followup: '' }
  }

  /** `isSavedFirst`: there is no session that the old key still carries. */
  #sendFresh(isSavedFirst: boolean): LoginEffect[] {
    const nodeKey = this.#crypto.newPrivateKey()
    const oldNodeKey = this.#start!.nodeKey
    const save: LoginEffect[] = isSavedFirst ? [{ kind: 'saveKey', nodeKey, oldNodeKey }] : []
    return [...save, ...this.#send(this.#requestFor(nodeKey, oldNodeKey), true, isSavedFirst)]
  }

  #send(request: LoginRequest, isFreshKey: boolean, isSaved: boolean): LoginEffect[] {
    this.#attempt = { request, isFreshKey, isSaved }
    this.#isInFlight = true
    this.#dueAt = undefined
    return [{ kind: 'send', attempt: ++this.#number, request }]
  }
}
