import { expect, test } from 'vitest'
import { nodeCrypto } from '../../../src-protocol/crypto/node-crypto.ts'
import { ipBytes } from '../../../src-protocol/wire/ip.ts'
import { decodeTsmp, encodeIcmpEcho, encodeTsmpPongTo, parsePacket } from '../../../src-protocol/wire/packet.ts'
import { TunnelPings, type TunnelPong } from './tunnel-pings.ts'

const [a, b] = [ipBytes('100.64.0.1'), ipBytes('100.64.0.2')]
const packet = (bytes: Uint8Array) => {
  const parsed = parsePacket(bytes)
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.value
}

test('a TSMP pong answers its ping once, and only in time', () => {
  const pings = new TunnelPings(nodeCrypto)
  const answers: TunnelPong[] = []
  const ping = packet(pings.askTsmp(a, b, 0, (pong) => answers.push(pong)))
  const asked = decodeTsmp(ping.transport)
  if (!asked.ok || asked.value.kind !== 'ping') throw new Error('no ping')
  const pong = decodeTsmp(packet(encodeTsmpPongTo(ping, asked.value.data, 80)).transport)
  if (!pong.ok || pong.value.kind !== 'pong') throw new Error('no pong')
  pings.handleTsmpPong(new Uint8Array(8), 0, 5)
  pings.handleTsmpPong(pong.value.data, pong.value.peerApiPort, 12)
  pings.handleTsmpPong(pong.value.data, pong.value.peerApiPort, 13)
  expect(answers).toEqual([{ latencyMs: 12, peerApiPort: 80 }])
})

test('an echo reply answers by identifier and sequence', () => {
  const pings = new TunnelPings(nodeCrypto)
  const answers: TunnelPong[] = []
  const asked = pings.askIcmp(a, b, 0, (pong) => answers.push(pong))
  const { icmp } = packet(asked.packet)
  const reply = packet(encodeIcmpEcho({ src: b, dst: a, kind: 'reply', id: asked.id, seq: icmp?.seq ?? 0 }))
  pings.handleEchoReply(reply, 10_001)
  expect(answers).toEqual([])
  const again = pings.askIcmp(a, b, 20_000, (pong) => answers.push(pong))
  const seq = packet(again.packet).icmp?.seq ?? 0
  pings.handleEchoReply(packet(encodeIcmpEcho({ src: b, dst: a, kind: 'reply', id: again.id, seq })), 20_007)
  expect(answers).toEqual([{ latencyMs: 7, peerApiPort: 0 }])
})
