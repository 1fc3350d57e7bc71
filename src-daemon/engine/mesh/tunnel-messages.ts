/**
 * What daemons say to each other inside the tunnel: TSMP pings, disco keys, rejections; and our own ICMP pings. Pure but
 * for the random identifiers. [tsmp-filter.md §6, §7]
 */
import type { IpText, Ms } from '../../../src-contract/ids.ts'
import { equalBytes, isAllZero } from '../../../src-protocol/wire/bytes.ts'
import type { Crypto } from '../../../src-protocol/wire/crypto.ts'
import { ipBytes } from '../../../src-protocol/wire/ip.ts'
import {
  decodeTsmp,
  encodeTsmpPacket,
  encodeTsmpPongTo,
  type ParsedPacket,
  parsePacket,
} from '../../../src-protocol/wire/packet.ts'
import { TunnelPings, type TunnelPong } from './tunnel-pings.ts'

export type TsmpResult =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'reply'; readonly packet: Uint8Array }
  | { readonly kind: 'discoKey'; readonly key: Uint8Array }
  | { readonly kind: 'rejected'; readonly flow: { protocol: number; reason: string; srcPort: number; dstPort: number } }

export class TunnelMessages {
  readonly #discoPublic: Uint8Array
  readonly #pings: TunnelPings
  #own: readonly { readonly ip: Uint8Array; readonly peerApiPort: number }[] = []

  constructor(crypto: Crypto, discoPublic: Uint8Array) {
    this.#discoPublic = discoPublic
    this.#pings = new TunnelPings(crypto)
  }

  setOwnAddresses(
    addresses: readonly IpText[],
    peerApi: readonly { readonly address: IpText; readonly port: number }[] = [],
  ): void {
    const portOf = (text: IpText): number => peerApi.find(({ address }) => address === text)?.port ?? 0
    this.#own = addresses.map((text) => ({ ip: ipBytes(text), peerApiPort: portOf(text) }))
  }

  /** The data path checked that the source belongs to the peer. */
  handleTsmp(bytes: Uint8Array, now: Ms): TsmpResult {
    const packet = parsePacket(bytes)
    const message = packet.ok ? decodeTsmp(packet.value.transport) : packet
    if (!packet.ok || !message.ok) return { kind: 'nothing' }
    const tsmp = message.value
    switch (tsmp.kind) {
      case 'ping':
        return this.#answerPing(packet.value, tsmp.data)
      case 'pong':
        this.#pings.handleTsmpPong(tsmp.data, tsmp.peerApiPort, now)
        return { kind: 'nothing' }
      case 'discoKey':
        return isAllZero(tsmp.discoKey) ? { kind: 'nothing' } : { kind: 'discoKey', key: tsmp.discoKey.slice() }
      case 'rejected': {
        const { protocol, srcPort, dstPort } = tsmp
        return { kind: 'rejected', flow: { protocol, reason: String.fromCharCode(tsmp.reason), srcPort, dstPort } }
      }
      case 'unknown':
        return { kind: 'nothing' }
    }
  }

  #answerPing(ping: ParsedPacket, data: Uint8Array): TsmpResult {
    const asked = this.#own.find(({ ip }) => equalBytes(ip, ping.dst))
    if (asked === undefined) return { kind: 'nothing' }
    return { kind: 'reply', packet: encodeTsmpPongTo(ping, data, asked.peerApiPort) }
  }

  handleEchoReply(bytes: Uint8Array, now: Ms): void {
    const packet = parsePacket(bytes)
    if (packet.ok) this.#pings.handleEchoReply(packet.value, now)
  }

  /** undefined: no address of ours has the family of one of theirs. */
  discoAdvertisement(peerAddresses: readonly IpText[]): Uint8Array | undefined {
    for (const text of peerAddresses) {
      const dst = ipBytes(text)
      const src = this.#ownOf(dst.length)
      if (src !== undefined) return encodeTsmpPacket(src, dst, { kind: 'discoKey', discoKey: this.#discoPublic })
    }
    return undefined
  }

  ping(
    kind: 'TSMP' | 'ICMP',
    address: IpText,
    now: Ms,
    answer: (pong: TunnelPong) => void,
  ): { readonly packet: Uint8Array; readonly echoId: number | undefined } | undefined {
    const dst = ipBytes(address)
    const src = this.#ownOf(dst.length)
    if (src === undefined) return undefined
    if (kind === 'TSMP') return { packet: this.#pings.askTsmp(src, dst, now, answer), echoId: undefined }
    const { id, packet } = this.#pings.askIcmp(src, dst, now, answer)
    return { packet, echoId: id }
  }

  #ownOf(length: number): Uint8Array | undefined {
    return this.#own.find(({ ip }) => ip.length === length)?.ip
  }
}
