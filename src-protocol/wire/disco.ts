/**
 * Disco: the small sealed messages by which peers find paths to each other, over UDP and as relay payload.
 *
 *   0  6 magic "TS💬" · 6 32 sender's disco public key · 38 24 nonce · 62 16 tag · 78 n sealed payload
 *   payload: type u8 · version u8 (0) · body                                        [NaCl box between the disco keys]
 *
 * Bodies (big-endian):
 *   1 ping            transaction 12 · node key 32 (may be missing) · zero padding
 *   2 pong            transaction 12 · address 16 (v4-mapped) · port 2: the source that was seen
 *   3 call-me-maybe   n × (address 16 · port 2)
 *   4 5 6 bind / challenge / answer of a peer relay: VNI u32 · generation u32 · other disco key 32 · challenge 32
 *   7 call-me-maybe-via   relay endpoint
 *   8 allocate request    disco key 32 · disco key 32 · generation u32
 *   9 allocate response   generation u32 · relay endpoint
 *   relay endpoint: server disco 32 · client disco 32 · client disco 32 · lamport u64 · VNI u32 · bind lifetime u64 ns ·
 *                   steady lifetime u64 ns · n ≥ 1 × (address 16 · port 2)
 */
import type { IpPort } from '../../src-contract/ids.ts'
import { concat, copyOf, equalBytes, viewOf } from './bytes.ts'
import type { Crypto } from './crypto.ts'
import { bad, type Decoded, ok } from './decoded.ts'
import { ipPort, parseIpPort } from './ip.ts'

export const DISCO_MAGIC = Uint8Array.of(0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac)
export const TRANSACTION_BYTES = 12
const KEY_BYTES = 32
const NONCE_BYTES = 24
const TAG_BYTES = 16
const HEADER_BYTES = DISCO_MAGIC.length + KEY_BYTES + NONCE_BYTES
const ADDRESS_BYTES = 18
const RELAY_ENDPOINT_BYTES = 124
/** A ping with its node key and no padding, as a whole datagram. */
export const PING_DATAGRAM_BYTES = HEADER_BYTES + TAG_BYTES + 2 + TRANSACTION_BYTES + KEY_BYTES

export interface RelayBinding {
  readonly vni: number
  readonly generation: number
  readonly otherDiscoKey: Uint8Array
  readonly challenge: Uint8Array
}

export interface RelayEndpoint {
  readonly serverDiscoKey: Uint8Array
  readonly clientDiscoKeys: readonly [Uint8Array, Uint8Array]
  readonly lamportId: bigint
  readonly vni: number
  readonly bindLifetimeNs: bigint
  readonly steadyLifetimeNs: bigint
  readonly addresses: readonly IpPort[]
}

export type DiscoMessage =
  | { readonly kind: 'ping'; readonly txId: Uint8Array; readonly nodeKey?: Uint8Array; readonly paddingBytes?: number }
  | { readonly kind: 'pong'; readonly txId: Uint8Array; readonly source: IpPort }
  | { readonly kind: 'callMeMaybe'; readonly endpoints: readonly IpPort[] }
  | ({ readonly kind: 'bindUdpRelay' | 'bindUdpRelayChallenge' | 'bindUdpRelayAnswer' } & RelayBinding)
  | { readonly kind: 'callMeMaybeVia'; readonly endpoint: RelayEndpoint }
  | {
      readonly kind: 'allocateUdpRelayRequest'
      readonly clientDiscoKeys: readonly [Uint8Array, Uint8Array]
      readonly generation: number
    }
  | { readonly kind: 'allocateUdpRelayResponse'; readonly generation: number; readonly endpoint: RelayEndpoint }

const TYPE = {
  ping: 1,
  pong: 2,
  callMeMaybe: 3,
  bindUdpRelay: 4,
  bindUdpRelayChallenge: 5,
  bindUdpRelayAnswer: 6,
  callMeMaybeVia: 7,
  allocateUdpRelayRequest: 8,
  allocateUdpRelayResponse: 9,
} as const satisfies Record<DiscoMessage['kind'], number>

/** Enough to tell it from WireGuard and STUN; opening it may still fail. */
export function looksLikeDisco(datagram: Uint8Array): boolean {
  return datagram.length >= HEADER_BYTES && equalBytes(datagram.subarray(0, DISCO_MAGIC.length), DISCO_MAGIC)
}

/** The sender's disco public key of what {@link looksLikeDisco}. */
export function discoSender(datagram: Uint8Array): Uint8Array {
  return datagram.subarray(DISCO_MAGIC.length, DISCO_MAGIC.length + KEY_BYTES)
}

export function sealDisco(
  crypto: Crypto,
  sharedKey: Uint8Array,
  senderPublic: Uint8Array,
  message: DiscoMessage,
  nonce: Uint8Array = crypto.randomBytes(NONCE_BYTES),
): Uint8Array {
  return concat(DISCO_MAGIC, senderPublic, nonce, crypto.boxSeal(sharedKey, nonce, encodeDisco(message)))
}

export function openDisco(crypto: Crypto, sharedKey: Uint8Array, datagram: Uint8Array): Decoded<DiscoMessage> {
  if (datagram.length < HEADER_BYTES + TAG_BYTES + 2) return bad('short')
  const nonce = datagram.subarray(DISCO_MAGIC.length + KEY_BYTES, HEADER_BYTES)
  const payload = crypto.boxOpen(sharedKey, nonce, datagram.subarray(HEADER_BYTES))
  return payload === undefined ? bad('box') : decodeDisco(payload)
}

export function encodeDisco(message: DiscoMessage): Uint8Array {
  const head = Uint8Array.of(TYPE[message.kind], 0)
  switch (message.kind) {
    case 'ping':
      return concat(head, message.txId, message.nodeKey ?? new Uint8Array(0), new Uint8Array(message.paddingBytes ?? 0))
    case 'pong':
      return concat(head, message.txId, encodeAddress(message.source))
    case 'callMeMaybe':
      return concat(head, ...message.endpoints.map(encodeAddress))
    case 'bindUdpRelay':
    case 'bindUdpRelayChallenge':
    case 'bindUdpRelayAnswer':
      return concat(head, u32(message.vni), u32(message.generation), message.otherDiscoKey, message.challenge)
    case 'callMeMaybeVia':
      return concat(head, encodeRelayEndpoint(message.endpoint))
    case 'allocateUdpRelayRequest':
      return concat(head, ...message.clientDiscoKeys, u32(message.generation))
    case 'allocateUdpRelayResponse':
      return concat(head, u32(message.generation), encodeRelayEndpoint(message.endpoint))
  }
}

/** Lenient on trailing bytes except where a length is a rule; unknown types and versions are errors to drop silently. */
export function decodeDisco(payload: Uint8Array): Decoded<DiscoMessage> {
  if (payload.length < 2) return bad('short')
  const [type, version] = payload as unknown as [number, number]
  const body = payload.subarray(2)
  switch (type) {
    case TYPE.ping:
      return decodePing(body)
    case TYPE.pong:
      if (body.length < TRANSACTION_BYTES + ADDRESS_BYTES) return bad('short')
      return ok({
        kind: 'pong',
        txId: copyOf(body, 0, TRANSACTION_BYTES),
        source: decodeAddress(body.subarray(TRANSACTION_BYTES)),
      })
    case TYPE.callMeMaybe: {
      // Anything but a whole list counts as an empty one: it still withdraws the earlier list and asks for pings.
      const isList = version === 0 && body.length % ADDRESS_BYTES === 0
      return ok({ kind: 'callMeMaybe', endpoints: isList ? decodeAddresses(body) : [] })
    }
    case TYPE.bindUdpRelay:
      return decodeBinding('bindUdpRelay', body)
    case TYPE.bindUdpRelayChallenge:
      return decodeBinding('bindUdpRelayChallenge', body)
    case TYPE.bindUdpRelayAnswer:
      return decodeBinding('bindUdpRelayAnswer', body)
    case TYPE.callMeMaybeVia: {
      if (version !== 0) return bad('version')
      const endpoint = decodeRelayEndpoint(body)
      return endpoint.ok ? ok({ kind: 'callMeMaybeVia', endpoint: endpoint.value }) : endpoint
    }
    case TYPE.allocateUdpRelayRequest:
      if (version !== 0) return bad('version')
      if (body.length < 2 * KEY_BYTES + 4) return bad('short')
      return ok({
        kind: 'allocateUdpRelayRequest',
        clientDiscoKeys: [copyOf(body, 0, KEY_BYTES), copyOf(body, KEY_BYTES, 2 * KEY_BYTES)],
        generation: viewOf(body).getUint32(2 * KEY_BYTES),
      })
    case TYPE.allocateUdpRelayResponse: {
      if (version !== 0) return bad('version')
      if (body.length < 4) return bad('short')
      const endpoint = decodeRelayEndpoint(body.subarray(4))
      if (!endpoint.ok) return endpoint
      return ok({ kind: 'allocateUdpRelayResponse', generation: viewOf(body).getUint32(0), endpoint: endpoint.value })
    }
    default:
      return bad('type')
  }
}

function decodePing(body: Uint8Array): Decoded<DiscoMessage> {
  if (body.length < TRANSACTION_BYTES) return bad('short')
  const txId = copyOf(body, 0, TRANSACTION_BYTES)
  const rest = body.subarray(TRANSACTION_BYTES)
  if (rest.length < KEY_BYTES) return ok({ kind: 'ping', txId, paddingBytes: rest.length })
  return ok({ kind: 'ping', txId, nodeKey: copyOf(rest, 0, KEY_BYTES), paddingBytes: rest.length - KEY_BYTES })
}

function decodeBinding(
  kind: 'bindUdpRelay' | 'bindUdpRelayChallenge' | 'bindUdpRelayAnswer',
  body: Uint8Array,
): Decoded<DiscoMessage> {
  if (body.length < 8 + 2 * KEY_BYTES) return bad('short')
  const view = viewOf(body)
  return ok({
    kind,
    vni: view.getUint32(0),
    generation: view.getUint32(4),
    otherDiscoKey: copyOf(body, 8, 8 + KEY_BYTES),
    challenge: copyOf(body, 8 + KEY_BYTES, 8 + 2 * KEY_BYTES),
  })
}

function encodeRelayEndpoint(endpoint: RelayEndpoint): Uint8Array {
  const { serverDiscoKey, clientDiscoKeys, lamportId, vni, bindLifetimeNs, steadyLifetimeNs, addresses } = endpoint
  return concat(
    serverDiscoKey,
    ...clientDiscoKeys,
    u64(lamportId),
    u32(vni),
    u64(bindLifetimeNs),
    u64(steadyLifetimeNs),
    ...addresses.map(encodeAddress),
  )
}

function decodeRelayEndpoint(body: Uint8Array): Decoded<RelayEndpoint> {
  const list = body.length - RELAY_ENDPOINT_BYTES
  if (list < ADDRESS_BYTES) return bad('short')
  if (list % ADDRESS_BYTES !== 0) return bad('address-list')
  const view = viewOf(body)
  return ok({
    serverDiscoKey: copyOf(body, 0, 32),
    clientDiscoKeys: [copyOf(body, 32, 64), copyOf(body, 64, 96)],
    lamportId: view.getBigUint64(96),
    vni: view.getUint32(104),
    bindLifetimeNs: view.getBigUint64(108),
    steadyLifetimeNs: view.getBigUint64(116),
    addresses: decodeAddresses(body.subarray(RELAY_ENDPOINT_BYTES)),
  })
}

const V4_MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)

function encodeAddress(endpoint: IpPort): Uint8Array {
  const parsed = parseIpPort(endpoint)
  if (!parsed.ok) throw new Error(`not an address and port: ${endpoint}`)
  const { ip, port } = parsed.value
  const bytes = concat(ip.length === 4 ? V4_MAPPED_PREFIX : new Uint8Array(0), ip, new Uint8Array(2))
  viewOf(bytes).setUint16(16, port)
  return bytes
}

/** A v4-mapped address comes out as IPv4. */
function decodeAddress(bytes: Uint8Array): IpPort {
  return ipPort(bytes.subarray(0, 16), viewOf(bytes).getUint16(16))
}

function decodeAddresses(bytes: Uint8Array): IpPort[] {
  const list: IpPort[] = []
  for (let at = 0; at + ADDRESS_BYTES <= bytes.length; at += ADDRESS_BYTES) list.push(decodeAddress(bytes.subarray(at)))
  return list
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  viewOf(bytes).setUint32(0, value)
  return bytes
}

function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  viewOf(bytes).setBigUint64(0, value)
  return bytes
}
