/**
 * One client of the SOCKS server: greeting, request, then bytes both ways. CONNECT without a password is all that is
 * offered: the server listens on the loopback interface. [RFC 1928; docs/rules/netstack.md NST-31]
 */
import type { Socket } from 'node:net'
import { concat } from '../../../src-protocol/wire/bytes.ts'
import type { Dialer, DialFailure } from './dialer-port.ts'
import { joinStreams } from './join-streams.ts'
import {
  decodeGreeting,
  decodeRequest,
  encodeMethod,
  encodeReply,
  type Partly,
  type SocksRequest,
  socksCommand,
  socksMethod,
  socksReply,
} from './socks5-messages.ts'

const HANDSHAKE_MS = 10_000
/** More than the longest request. */
const MAX_HANDSHAKE_BYTES = 1_024

const REPLIES: { readonly [R in DialFailure['reason']]: number } = {
  'unknown-name': socksReply.hostUnreachable,
  refused: socksReply.refused,
  timeout: socksReply.expired,
  unreachable: socksReply.networkUnreachable,
  busy: socksReply.failure,
}

/** The socket is ours from here on. */
export async function serveSocks(socket: Socket, dialer: Dialer): Promise<void> {
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  const input = new Handshake(socket)
  const greeting = await input.read(decodeGreeting)
  if (greeting === undefined) return
  if (!greeting.methods.includes(socksMethod.none)) {
    socket.end(encodeMethod(socksMethod.unacceptable), () => socket.destroy())
    return
  }
  socket.write(encodeMethod(socksMethod.none))
  const request = await input.read(decodeRequest)
  if (request === undefined) return
  const rest = input.end()
  const problem = refusal(request)
  if (problem !== undefined) {
    refuse(socket, problem)
    return
  }
  const result = await dialer.dial(request.host, request.port, gone.signal)
  if (result.kind === 'failed') {
    refuse(socket, REPLIES[result.reason])
    return
  }
  if (socket.destroyed) {
    result.stream.destroy()
    return
  }
  socket.write(encodeReply(socksReply.succeeded))
  joinStreams(socket, result.stream, rest)
}

function refusal({ command, port }: SocksRequest): number | undefined {
  if (command !== socksCommand.connect) return socksReply.badCommand
  return port === 0 ? socksReply.failure : undefined
}

function refuse(socket: Socket, reply: number): void {
  socket.end(encodeReply(reply), () => socket.destroy())
}

/** Bytes that come in pieces, read as messages; ends the socket when they are none, too many, or too late. */
class Handshake {
  readonly #socket: Socket
  readonly #timer: NodeJS.Timeout
  #bytes: Uint8Array = new Uint8Array(0)
  #wake: () => void = () => {}
  #isOver = false
  readonly #onData = (chunk: Uint8Array): void => {
    this.#bytes = concat(this.#bytes, chunk)
    if (this.#bytes.length > MAX_HANDSHAKE_BYTES) this.#socket.pause() // the rest is for whom it asks for
    this.#wake()
  }

  constructor(socket: Socket) {
    this.#socket = socket
    this.#timer = setTimeout(() => socket.destroy(), HANDSHAKE_MS).unref()
    const over = (): void => {
      this.#isOver = true
      clearTimeout(this.#timer)
      this.#wake()
    }
    socket.once('close', over)
    socket.once('end', over)
    socket.on('data', this.#onData)
  }

  async read<T>(decode: (bytes: Uint8Array) => Partly<T>): Promise<T | undefined> {
    for (;;) {
      const decoded = decode(this.#bytes)
      if (decoded.ok && decoded.value !== undefined) {
        this.#bytes = this.#bytes.slice(decoded.value.bytes)
        return decoded.value.value
      }
      if (!decoded.ok || this.#isOver || this.#bytes.length > MAX_HANDSHAKE_BYTES) {
        clearTimeout(this.#timer)
        this.#socket.destroy()
        return undefined
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** What came behind the last message. */
  end(): Uint8Array {
    clearTimeout(this.#timer)
    this.#socket.removeListener('data', this.#onData)
    this.#socket.pause()
    return this.#bytes
  }
}
