/**
 * Pings that go through the tunnel: TSMP (answered by the peer's daemon) and ICMP (answered by its host). Matches
 * answers to questions; sending is the caller's. [tsmp-filter.md §6.1, §7]
 */
import type { Ms } from '../../../src-contract/ids.ts'
import { toHex } from '../../../src-protocol/wire/bytes.ts'
import type { Crypto } from '../../../src-protocol/wire/crypto.ts'
import { encodeIcmpEcho, encodeTsmpPacket, type ParsedPacket } from '../../../src-protocol/wire/packet.ts'

const ANSWER_WITHIN_MS = 10_000

export interface TunnelPong {
  readonly latencyMs: number
  /** 0 = none. */
  readonly peerApiPort: number
}

interface Question {
  readonly sentAt: Ms
  readonly answer: (pong: TunnelPong) => void
}

export class TunnelPings {
  readonly #crypto: Crypto
  readonly #open = new Map<string, Question>()

  constructor(crypto: Crypto) {
    this.#crypto = crypto
  }

  /** The packet to send; `answer` is called at most once. */
  askTsmp(src: Uint8Array, dst: Uint8Array, now: Ms, answer: (pong: TunnelPong) => void): Uint8Array {
    const data = this.#crypto.randomBytes(8)
    this.#ask(`tsmp ${toHex(data)}`, now, answer)
    return encodeTsmpPacket(src, dst, { kind: 'ping', data })
  }

  askIcmp(
    src: Uint8Array,
    dst: Uint8Array,
    now: Ms,
    answer: (pong: TunnelPong) => void,
  ): { readonly id: number; readonly packet: Uint8Array } {
    const random = this.#crypto.randomBytes(4)
    const id = (random[0]! << 8) | random[1]!
    const seq = (random[2]! << 8) | random[3]!
    this.#ask(`icmp ${id} ${seq}`, now, answer)
    return { id, packet: encodeIcmpEcho({ src, dst, kind: 'request', id, seq }) }
  }

  handleTsmpPong(data: Uint8Array, peerApiPort: number, now: Ms): void {
    this.#settle(`tsmp ${toHex(data)}`, peerApiPort, now)
  }

  handleEchoReply(packet: ParsedPacket, now: Ms): void {
    const { icmp } = packet
    if (icmp !== undefined) this.#settle(`icmp ${icmp.id} ${icmp.seq}`, 0, now)
  }

  #ask(name: string, now: Ms, answer: (pong: TunnelPong) => void): void {
    for (const [old, question] of this.#open) {
      if (now - question.sentAt <= ANSWER_WITHIN_MS) break // in the order of asking
      this.#open.delete(old)
    }
    this.#open.set(name, { sentAt: now, answer })
  }

  #settle(name: string, peerApiPort: number, now: Ms): void {
    const question = this.#open.get(name)
    if (question === undefined) return
    this.#open.delete(name)
    if (now - question.sentAt <= ANSWER_WITHIN_MS) question.answer({ latencyMs: now - question.sentAt, peerApiPort })
  }
}
