/** The relay's HTTP side: the upgrade, and the small pages that clients and probers ask for.            [derp.md §2.3, §7] */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { toHex } from '../../src-protocol/wire/bytes.ts'
import { refuse } from '../control/ts2021.ts'
import { type FrontPart, sendJson, sendText } from '../http/front.ts'
import type { RelayServer } from './relay-server.ts'

const NO_CACHE = 'no-cache, no-store, must-revalidate, no-transform, max-age=0'

export class RelayPart implements FrontPart {
  readonly #server: RelayServer

  constructor(server: RelayServer) {
    this.#server = server
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, path: string): boolean {
    if (path !== '/derp') return false
    const upgrade = request.headers.upgrade?.toLowerCase()
    const isWebSocket =
      upgrade === 'websocket' && String(request.headers['sec-websocket-protocol'] ?? '').includes('derp')
    if (isWebSocket || (upgrade !== 'derp' && upgrade !== 'websocket')) {
      refuse(
        socket,
        isWebSocket ? 501 : 426,
        isWebSocket ? 'no WebSocket here\n' : 'DERP requires connection upgrade\n',
      )
      return true
    }
    // a client in a hurry has sent its login behind the request and reads no HTTP answer
    if (request.headers['derp-fast-start'] !== '1')
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Version: 2\r\nDerp-Public-Key: ${toHex(this.#server.publicKey)}\r\n\r\n`,
      )
    this.#server.accept(socket, head)
    return true
  }

  handleRequest(request: IncomingMessage, response: ServerResponse, path: string): boolean {
    switch (path) {
      case '/derp':
        sendText(response, 426, 'DERP requires connection upgrade\n')
        return true
      case '/derp/probe':
      case '/derp/latency-check':
        if (request.method === 'GET' || request.method === 'HEAD')
          sendText(response, 200, '', { 'Access-Control-Allow-Origin': '*' })
        else sendText(response, 405, 'bogus probe method\n')
        return true
      case '/generate_204':
        this.#noContent(request, response)
        return true
      case '/bootstrap-dns':
        // names that clients may ask a relay for when their DNS fails; this one publishes none
        sendJson(response, 200, {}, { Connection: 'close' })
        return true
      default:
        return false
    }
  }

  /** Captive-portal check: only a real relay can answer the challenge. */
  #noContent(request: IncomingMessage, response: ServerResponse): void {
    const challenge = request.headers['x-tailscale-challenge']
    const isFair = typeof challenge === 'string' && /^[A-Za-z0-9._:-]{1,64}$/.test(challenge)
    response.writeHead(204, {
      'Cache-Control': NO_CACHE,
      ...(isFair ? { 'X-Tailscale-Response': `response ${challenge}` } : {}),
    })
    response.end()
  }
}
