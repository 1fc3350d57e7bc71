/** The control server's own paths outside the secure channel.                                 [control.md §2.1, §5.1, §8.4] */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { MachineKeyText, NodeKeyText } from '../../src-contract/ids.ts'
import { isJsonObject, parseJson } from '../../src-protocol/wire/json.ts'
import { ZERO_MACHINE_KEY } from '../../src-protocol/wire/keys.ts'
import { displayText } from '../../src-protocol/wire/text.ts'
import type { PendingLogins } from '../control/pending-logins.ts'
import { CONTROL_UPGRADE, type ControlConnections, refuse } from '../control/ts2021.ts'
import { type FrontPart, queryOf, readRequest, sendJson, sendText } from './front.ts'
import { approvedPage, pageHeaders, pendingPage, unknownPage } from './register-page.ts'

export interface ControlPartOptions {
  readonly publicKey: MachineKeyText
  readonly connections: ControlConnections
  readonly pending: PendingLogins
  readonly version: string
  /** Whether a relay may serve this node key. */
  readonly mayRelay: (nodeKey: NodeKeyText) => boolean
}

/** The first capability version that speaks through the secure channel. */
const FIRST_NOISE_VERSION = 39
const MAX_VERIFY_BYTES = 4096

export class ControlPart implements FrontPart {
  readonly #o: ControlPartOptions

  constructor(options: ControlPartOptions) {
    this.#o = options
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, path: string): boolean {
    if (path !== '/ts2021') return false
    if (request.headers.upgrade?.toLowerCase() === CONTROL_UPGRADE)
      this.#o.connections.handleUpgrade(request, socket, head)
    else refuse(socket, 400, `expected Upgrade: ${CONTROL_UPGRADE}\n`)
    return true
  }

  handleRequest(request: IncomingMessage, response: ServerResponse, path: string): boolean {
    switch (path) {
      case '/key':
        this.#sendKey(request, response)
        return true
      case '/ts2021':
        // reached without an upgrade: a proxy in front took the header away
        sendText(
          response,
          400,
          `missing Upgrade: ${CONTROL_UPGRADE}; a proxy in front of this server must pass HTTP upgrades of POST requests\n`,
        )
        return true
      case '/health':
        sendJson(response, 200, { status: 'pass' })
        return true
      case '/version':
        sendJson(response, 200, { version: this.#o.version })
        return true
      case '/verify':
        void this.#verify(request, response)
        return true
      case '/robots.txt':
        sendText(response, 200, 'User-agent: *\nDisallow: /\n')
        return true
      case '/':
        sendText(
          response,
          200,
          'This is a Pintail coordination server. Give its address to your client as the login server.\n',
        )
        return true
      default:
        return this.#page(request, response, path)
    }
  }

  #sendKey(request: IncomingMessage, response: ServerResponse): void {
    const version = queryOf(request).get('v') ?? ''
    if (!/^\d{1,6}$/.test(version)) sendText(response, 400, 'expected /key?v=<capability version>\n')
    else if (Number(version) < FIRST_NOISE_VERSION) sendText(response, 200, '')
    else sendJson(response, 200, { legacyPublicKey: ZERO_MACHINE_KEY, publicKey: this.#o.publicKey })
  }

  #page(request: IncomingMessage, response: ServerResponse, path: string): boolean {
    const id = /^\/register\/([0-9a-f]{24})$/.exec(path)?.[1]
    if (id === undefined) return false
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      sendText(response, 405, 'expected GET\n')
      return true
    }
    const login = this.#o.pending.get(id)
    if (login !== undefined) sendText(response, 200, pendingPage(login), { ...pageHeaders, Refresh: '2' })
    else if (this.#o.pending.wasApproved(id)) sendText(response, 200, approvedPage(), pageHeaders)
    else sendText(response, 404, unknownPage(), pageHeaders)
    return true
  }

  /** Other relays ask whether a client may use them. */
  async #verify(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await readRequest(request, MAX_VERIFY_BYTES)
      const json = body === undefined ? undefined : parseJson(displayText(body, MAX_VERIFY_BYTES))
      if (
        request.method !== 'POST' ||
        !json?.ok ||
        !isJsonObject(json.value) ||
        typeof json.value.NodePublic !== 'string'
      )
        sendText(response, 400, 'expected POST {"NodePublic":"nodekey:…"}\n')
      else sendJson(response, 200, { Allow: this.#o.mayRelay(json.value.NodePublic as NodeKeyText) })
    } catch (error) {
      response.destroy(error as Error) // the caller went away while sending
    }
  }
}
