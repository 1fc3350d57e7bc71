/**
 * Asks servers for names, as the resolver's machine orders: one exchange at a time, under the number it gave. Sockets
 * take the host's ordinary routes, as those of any program here: into the tunnel where a peer has the server, through
 * the exit node when there is one. [docs/rules/dns.md DNS-8]
 */
import { createSocket } from 'node:dgram'
import http from 'node:http'
import { connect, type Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { IpPort } from '../../../src-contract/ids.ts'
import type { Via } from '../../../src-protocol/machines/resolver/forwarder.ts'
import type { Upstream } from '../../../src-protocol/machines/resolver/upstream.ts'
import { MAX_DNS_BYTES } from '../../../src-protocol/wire/dns.ts'
import { splitIpPort } from '../../../src-protocol/wire/ip.ts'
import { errorText } from '../log/log.ts'
import { HttpsOrigins } from './https-origins.ts'

const EXCHANGE_LIMIT_MS = 6_000
export const DNS_MEDIA_TYPE = 'application/dns-message'

export interface UpstreamsOptions {
  readonly onReply: (attempt: number, bytes: Uint8Array) => void
  readonly onFailure: (attempt: number, reason: string) => void
  /** What certificates are checked against; the system's roots by default. */
  readonly secureContext?: SecureContext
}

export class Upstreams {
  readonly #o: UpstreamsOptions
  readonly #open = new Map<number, () => void>()
  readonly #https: HttpsOrigins
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 8, timeout: EXCHANGE_LIMIT_MS })

  constructor(options: UpstreamsOptions) {
    this.#o = options
    this.#https = new HttpsOrigins(options.secureContext)
  }

  get openCount(): number {
    return this.#open.size
  }

  ask(attempt: number, upstream: Upstream, via: Via, bytes: Uint8Array): void {
    try {
      if (upstream.kind !== 'plain') {
        if (upstream.kind === 'http') this.#askHttp(attempt, upstream.url, bytes)
        else this.#askHttps(attempt, upstream, bytes)
      } else if (via === 'tcp') this.#askTcp(attempt, upstream.address, bytes)
      else this.#askUdp(attempt, upstream.address, bytes)
    } catch (error) {
      // no descriptor left, for example; never inside the machine's own call
      setImmediate(() => this.#fail(attempt, errorText(error)))
      this.#open.set(attempt, () => {})
    }
  }

  cancel(attempt: number): void {
    const close = this.#open.get(attempt)
    this.#open.delete(attempt)
    close?.()
  }

  close(): void {
    for (const attempt of [...this.#open.keys()]) this.cancel(attempt)
    this.#https.close()
    this.#agent.destroy()
  }

  /** A connected socket: the kernel hears only that server, and tells us when nobody is there. */
  #askUdp(attempt: number, server: IpPort, bytes: Uint8Array): void {
    const { address, port, family } = splitIpPort(server)
    const socket = createSocket(family === 4 ? 'udp4' : 'udp6')
    this.#open.set(attempt, () => socket.close())
    socket.on('error', (error) => this.#fail(attempt, errorText(error)))
    socket.on('message', (message) => this.#reply(attempt, message))
    socket.connect(port, address, () => {
      if (this.#open.has(attempt)) socket.send(bytes, (error) => error && this.#fail(attempt, errorText(error)))
    })
  }

  #askTcp(attempt: number, server: IpPort, bytes: Uint8Array): void {
    const { address, port } = splitIpPort(server)
    const socket: Socket = connect({ host: address, port, noDelay: true })
    this.#open.set(attempt, () => socket.destroy())
    let have: Buffer = Buffer.alloc(0)
    socket.on('error', (error) => this.#fail(attempt, errorText(error)))
    socket.on('close', () => this.#fail(attempt, 'closed'))
    socket.on('data', (chunk) => {
      have = Buffer.concat([have, chunk])
      if (have.length >= 2 && have.length >= 2 + have.readUInt16BE(0))
        this.#reply(attempt, have.subarray(2, 2 + have.readUInt16BE(0)))
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(bytes.length)
    socket.write(Buffer.concat([length, bytes]))
  }

  #askHttp(attempt: number, url: string, bytes: Uint8Array): void {
    const headers = { 'Content-Type': DNS_MEDIA_TYPE, Accept: DNS_MEDIA_TYPE, 'Content-Length': bytes.length }
    const request = http.request(url, { method: 'POST', headers, agent: this.#agent, timeout: EXCHANGE_LIMIT_MS })
    this.#open.set(attempt, () => request.destroy())
    request.on('error', (error) => this.#fail(attempt, errorText(error)))
    request.on('timeout', () => this.#fail(attempt, 'timeout'))
    request.on('response', (response) => {
      if (response.statusCode !== 200) return this.#fail(attempt, `HTTP ${response.statusCode}`)
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_DNS_BYTES) this.#fail(attempt, 'too long')
        else chunks.push(chunk)
      })
      response.on('end', () => this.#reply(attempt, Buffer.concat(chunks)))
      response.on('error', (error) => this.#fail(attempt, errorText(error)))
    })
    request.end(bytes)
  }

  #askHttps(attempt: number, upstream: Exclude<Upstream, { kind: 'plain' }>, bytes: Uint8Array): void {
    const abort = new AbortController()
    this.#open.set(attempt, () => abort.abort())
    this.#https
      .post(
        upstream.url,
        upstream.addresses,
        bytes,
        AbortSignal.any([abort.signal, AbortSignal.timeout(EXCHANGE_LIMIT_MS)]),
      )
      .then(
        (reply) => this.#reply(attempt, reply),
        (error: unknown) => this.#fail(attempt, errorText(error)),
      )
  }

  /** Over UDP others may follow; who is satisfied cancels. */
  #reply(attempt: number, bytes: Uint8Array): void {
    if (this.#open.has(attempt)) this.#o.onReply(attempt, bytes)
  }

  #fail(attempt: number, reason: string): void {
    if (!this.#open.has(attempt)) return
    this.cancel(attempt)
    this.#o.onFailure(attempt, reason)
  }
}
