import { describe, expect, test } from 'vitest'
import { nodeCrypto as crypto } from '../crypto/node-crypto.ts'
import { concat, toHex } from '../wire/bytes.ts'
import {
  decodeClientInfo,
  encodeFrame,
  encodePeerGone,
  encodeServerInfo,
  encodeServerKey,
  FRAME,
  FrameReader,
  PEER_GONE,
} from '../wire/derp.ts'
import { DerpClient, type DerpEvent, LOGIN_LIMIT_MS, PROBE_LIMIT_MS, SILENCE_LIMIT_MS } from './derp-client.ts'

const serverPrivate = crypto.newPrivateKey()
const serverPublic = crypto.x25519PublicKey(serverPrivate)
const nodePrivate = crypto.newPrivateKey()
const nodePublic = crypto.x25519PublicKey(nodePrivate)
const open = (isHome = false) => new DerpClient({ crypto, nodePrivate, isHome }, 0)
const welcome = () => encodeServerInfo(crypto, serverPrivate, nodePublic, { version: 2 })
const written = (events: readonly DerpEvent[]) => {
  const bytes = concat(...events.filter((e) => e.kind === 'write').map((e) => e.bytes))
  const frames = new FrameReader().push(bytes)
  return frames.ok ? frames.value.map(({ type, payload }) => ({ type, payload })) : []
}
function ready(isHome = false): DerpClient {
  const client = open(isHome)
  client.handleBytes(concat(encodeServerKey(serverPublic), welcome()), 0)
  return client
}

test('[DERPC-1] login: the server’s key, our box, home noted, then ready once', () => {
  const client = open(true)
  expect(client.encodePacket(serverPublic, new Uint8Array(1), 0)).toBeUndefined()
  expect(client.takesPackets).toBe(false)
  const frames = written(client.handleBytes(encodeServerKey(serverPublic), 0))
  expect(frames.map(({ type }) => type)).toEqual([FRAME.clientInfo, FRAME.notePreferred])
  expect(decodeClientInfo(crypto, serverPrivate, frames[0]!.payload)).toMatchObject({
    value: { nodeKey: nodePublic, info: { version: 2, CanAckPings: true } },
  })
  expect([client.takesPackets, client.isReady]).toEqual([true, false])
  expect(client.handleBytes(welcome(), 1)).toEqual([{ kind: 'ready' }])
  expect(client.handleBytes(welcome(), 2)).toEqual([])
})

test('[DERPC-2] packets, departures, health, pings', () => {
  const client = ready()
  const packet = concat(serverPublic, Uint8Array.of(1, 2, 3))
  expect(client.handleBytes(encodeFrame(FRAME.recvPacket, packet), 0)).toEqual([
    { kind: 'packet', from: serverPublic, packet: Uint8Array.of(1, 2, 3) },
  ])
  expect(client.handleBytes(encodePeerGone(serverPublic, PEER_GONE.notHere), 0)).toEqual([
    { kind: 'peerGone', peer: serverPublic },
  ])
  expect(client.handleBytes(encodeFrame(FRAME.health, new TextEncoder().encode('busy')), 0)).toEqual([
    { kind: 'health', text: 'busy' },
  ])
  const pong = written(client.handleBytes(encodeFrame(FRAME.ping, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)), 0))
  expect(pong.map(({ type, payload }) => [type, toHex(payload)])).toEqual([[FRAME.pong, '0102030405060708']])
  expect(written(client.setHome(true)).map(({ type, payload }) => [type, payload[0]])).toEqual([
    [FRAME.notePreferred, 1],
  ])
  expect(client.setHome(true)).toEqual([])
})

describe('[DERPC-6] what is sent', () => {
  const limited = (rate: number, burst: number) => {
    const client = open()
    client.handleBytes(encodeServerKey(serverPublic), 0)
    const info = { version: 2, TokenBucketBytesPerSecond: rate, TokenBucketBytesBurst: burst }
    client.handleBytes(encodeServerInfo(crypto, serverPrivate, nodePublic, info), 0)
    return client
  }
  const sends = (client: DerpClient, bytes: number, now: number) =>
    client.encodePacket(serverPublic, new Uint8Array(bytes), now) !== undefined
  test('no more than 64 KiB at once', () => {
    expect([sends(ready(), 65_536, 0), sends(ready(), 65_537, 0)]).toEqual([true, false])
  })
  test('no more than the relay allows: its burst, then its rate', () => {
    const client = limited(1000, 200)
    expect(Array.from({ length: 3 }, () => sends(client, 63, 0))).toEqual([true, true, false]) // 100 bytes each
    expect([sends(client, 63, 99), sends(client, 63, 100), sends(client, 63, 100)]).toEqual([false, true, false])
    expect([sends(client, 63, 1e9), sends(client, 63, 1e9), sends(client, 63, 1e9)]).toEqual([true, true, false])
  })
  test.each([
    [0, 0],
    [-1, 100],
    [100, -1],
    [0, 100],
  ])('a limit that is none: %i, %i', (rate, burst) => expect(sends(limited(rate, burst), 60_000, 0)).toBe(true))
})

test('[DERPC-3] unknown and short frames are skipped', () => {
  const client = ready()
  const noise = concat(
    encodeFrame(99, new Uint8Array(5)),
    encodeFrame(FRAME.recvPacket, new Uint8Array(31)),
    encodeFrame(FRAME.ping, new Uint8Array(7)),
  )
  expect(client.handleBytes(noise, 0)).toEqual([])
})

describe('[DERPC-4] liveness', () => {
  test('two minutes of silence end it; anything heard starts them anew', () => {
    const client = ready()
    client.handleBytes(encodeFrame(FRAME.keepAlive), 60_000)
    expect(client.nextWake()).toBe(60_000 + SILENCE_LIMIT_MS)
    expect(client.wake(60_000 + SILENCE_LIMIT_MS - 1)).toEqual([])
    expect(client.wake(60_000 + SILENCE_LIMIT_MS)).toEqual([{ kind: 'failed', reason: 'silence' }])
    expect(client.nextWake()).toBeUndefined()
  })
  test('a login that does not finish', () => {
    const client = open()
    expect(client.nextWake()).toBe(LOGIN_LIMIT_MS)
    expect(client.wake(LOGIN_LIMIT_MS)).toEqual([{ kind: 'failed', reason: 'login-timeout' }])
  })
  test('a probe is answered in three seconds or the connection is dead', () => {
    const client = ready()
    const [ping] = written(client.probe(1_000))
    expect(client.probe(1_001)).toEqual([])
    client.handleBytes(encodeFrame(FRAME.pong, ping!.payload), 2_000)
    expect(client.wake(1_000 + PROBE_LIMIT_MS)).toEqual([])
    client.probe(10_000)
    client.handleBytes(encodeFrame(FRAME.pong, new Uint8Array(8)), 10_500)
    expect(client.wake(10_000 + PROBE_LIMIT_MS)).toEqual([{ kind: 'failed', reason: 'no-answer' }])
  })
})

describe('[DERPC-5] hostile servers', () => {
  test.each([
    ['a wrong magic', encodeFrame(FRAME.serverKey, new Uint8Array(40)), 'server-key-magic'],
    ['a low-order key', encodeServerKey(new Uint8Array(32)), 'server-key-low-order'],
    ['an endless frame', Uint8Array.of(1, 0xff, 0xff, 0xff, 0xff), 'frame-too-long'],
  ])('%s', (_, bytes, reason) => {
    expect(open().handleBytes(bytes, 0)).toEqual([{ kind: 'failed', reason }])
  })
  test('a welcome sealed by somebody else', () => {
    const client = open()
    client.handleBytes(encodeServerKey(serverPublic), 0)
    const forged = encodeServerInfo(crypto, crypto.newPrivateKey(), nodePublic, { version: 2 })
    expect(client.handleBytes(forged, 0)).toEqual([{ kind: 'failed', reason: 'server-info-box' }])
    expect(client.handleBytes(welcome(), 0)).toEqual([])
  })
})
