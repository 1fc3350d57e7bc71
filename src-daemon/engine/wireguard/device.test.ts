import { createSocket } from 'node:dgram'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { IpPort } from '../../../src-contract/ids.ts'
import { loadAddon } from '../../../src-native/addon.ts'
import type { DoorEvent } from '../../../src-native/door.ts'
import { openPlainPath } from '../../../src-native/open-plain-path.ts'
import { nodeCrypto } from '../../../src-protocol/crypto/node-crypto.ts'
import type { UapiChange, UapiPeerChange, UapiPeerState } from '../../../src-protocol/wire/uapi.ts'
import { silentLog } from '../../io/log/log.ts'
import { PlainDevice } from './device.ts'

// Two real devices with real sockets on this computer, without interfaces: keepalives are all they have to say.
// Both paths read their sockets through the addon.

let prefer: 'native' | 'twin' = 'native'
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function openDevice(): Promise<PlainDevice> {
  const box: { device: PlainDevice | undefined } = { device: undefined }
  const onEvents = (events: DoorEvent[]) => box.device?.handleDoorEvents(events)
  const plainPath = await openPlainPath({ tunName: undefined, mtuBytes: 1420, onEvents }, { prefer, aead: undefined })
  const device = new PlainDevice({
    plainPath,
    crypto: nodeCrypto,
    now: () => performance.now(),
    wallMs: () => Date.now(),
    random01: () => Math.random(),
    log: silentLog,
  })
  box.device = device
  closers.push(async () => {
    device.close()
    await plainPath.path.close()
  })
  return device
}

function createKeys(): { privateKey: Uint8Array; publicKey: Uint8Array } {
  const privateKey = nodeCrypto.newPrivateKey()
  return { privateKey, publicKey: nodeCrypto.x25519PublicKey(privateKey) }
}

const change = (parts: Partial<UapiChange>): UapiChange => ({ replacePeers: false, peers: [], ...parts })
const peer = (publicKey: Uint8Array, parts: Partial<UapiPeerChange> = {}): UapiPeerChange => ({
  publicKey,
  remove: false,
  updateOnly: false,
  replaceAllowedIps: false,
  allowedIps: [],
  ...parts,
})
const add = (...prefixes: string[]) => prefixes.map((prefix) => ({ prefix, isRemoval: false }))
const peersOf = (device: PlainDevice): UapiPeerState[] => [...device.state().peers]
const here = (device: PlainDevice) => `127.0.0.1:${device.state().listenPort}` as IpPort

async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + 5_000
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within 5 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A knows where B is; B learns where A is. */
async function openPair(pskOfA?: Uint8Array, pskOfB?: Uint8Array) {
  const [a, b] = [await openDevice(), await openDevice()]
  const [keysA, keysB] = [createKeys(), createKeys()]
  const psk = (key: Uint8Array | undefined) => (key === undefined ? {} : { presharedKey: key })
  await b.apply(change({ privateKey: keysB.privateKey, peers: [peer(keysA.publicKey, psk(pskOfB))] }))
  await a.apply(
    change({
      privateKey: keysA.privateKey,
      peers: [peer(keysB.publicKey, { ...psk(pskOfA), endpoint: here(b), persistentKeepaliveSeconds: 1 })],
    }),
  )
  return { a, b, keysA, keysB }
}

const isConnected = (device: PlainDevice) => (peersOf(device)[0]?.lastHandshakeMs ?? 0) > 0

describe.skipIf(!loadAddon().ok).each(['native', 'twin'] as const)('%s', (path) => {
  beforeAll(() => {
    prefer = path
  })

  test('[UAPI-4.8] turning the keepalive on starts a session at once; figures agree at both ends', async () => {
    const { a, b } = await openPair()
    await until('both have a session', () => isConnected(a) && isConnected(b))
    await until('they agree', () => peersOf(a)[0]!.txBytes === peersOf(b)[0]!.rxBytes)
    expect(peersOf(b)[0]).toMatchObject({ endpoint: here(a), txBytes: 92 })
    expect(peersOf(a)[0]).toMatchObject({ rxBytes: 92, txBytes: 148 + 32 })
  })

  test('[UAPI-4.9] pre-shared keys have to agree', async () => {
    const [one, other] = [nodeCrypto.randomBytes(32), nodeCrypto.randomBytes(32)]
    const same = await openPair(one, one)
    const different = await openPair(one, other)
    await until('the agreeing have a session', () => isConnected(same.a) && isConnected(same.b))
    await until('the answer came', () => peersOf(different.b)[0]!.txBytes === 92)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([isConnected(different.a), isConnected(different.b)]).toEqual([false, false])
    expect([...different.a.state().peers][0]!.presharedKey).toEqual(one)
  })

  test('[UAPI-4.3] an endpoint follows whoever proves to be the peer', async () => {
    const { a, b } = await openPair()
    await until('both have a session', () => isConnected(a) && isConnected(b))
    const before = here(a)
    expect(await a.apply(change({ listenPort: 0 }))).toBe(undefined)
    expect(here(a)).not.toBe(before)
    await until('B has noticed', () => peersOf(b)[0]!.endpoint === here(a)) // by the next keepalive
    expect(peersOf(a)[0]!.lastHandshakeMs).toBeGreaterThan(0)
  })

  test('[UAPI-4.6] a port that is taken: nothing of the change happens', async () => {
    const device = await openDevice()
    const before = { privateKey: createKeys().privateKey }
    await device.apply(change(before))
    const state = { ...device.state(), peers: [] }
    const taken = createSocket('udp4')
    await new Promise<void>((resolve) => taken.bind(0, resolve))
    try {
      const wanted = { listenPort: taken.address().port, privateKey: createKeys().privateKey }
      expect(await device.apply(change({ ...wanted, peers: [peer(createKeys().publicKey)] }))).toBe('EADDRINUSE')
      expect({ ...device.state(), peers: peersOf(device) }).toEqual(state)
    } finally {
      taken.close()
    }
  })

  test('[UAPI-4.11] peers: order, update_only, remove, replace, own key', async () => {
    const device = await openDevice()
    const [own, one, two] = [createKeys(), createKeys(), createKeys()]
    await device.apply(
      change({
        peers: [
          peer(own.publicKey),
          peer(one.publicKey, { allowedIps: add('10.0.0.0/8', '::/0') }),
          peer(two.publicKey, { updateOnly: true, allowedIps: add('10.0.0.0/8') }),
        ],
      }),
    )
    expect(peersOf(device).map(({ publicKey }) => publicKey)).toEqual([own.publicKey, one.publicKey])
    await device.apply(change({ privateKey: own.privateKey }))
    expect(peersOf(device).map(({ publicKey }) => publicKey)).toEqual([one.publicKey])
    await device.apply(change({ peers: [peer(own.publicKey), peer(two.publicKey, { allowedIps: add('10.0.0.0/8') })] }))
    expect(peersOf(device).map(({ allowedIps }) => [...allowedIps])).toEqual([['::/0'], ['10.0.0.0/8']])
    await device.apply(
      change({
        peers: [
          peer(one.publicKey, { allowedIps: [{ prefix: '::/0', isRemoval: true }, ...add('fd00::/8')] }),
          peer(two.publicKey, { replaceAllowedIps: true, allowedIps: add('192.0.2.0/24') }),
        ],
      }),
    )
    expect(peersOf(device).map(({ allowedIps }) => [...allowedIps])).toEqual([['fd00::/8'], ['192.0.2.0/24']])
    await device.apply(change({ peers: [peer(one.publicKey, { remove: true })] }))
    expect(peersOf(device).map(({ publicKey }) => publicKey)).toEqual([two.publicKey])
    await device.apply(change({ replacePeers: true, peers: [peer(one.publicKey)] }))
    expect(peersOf(device).map(({ publicKey }) => publicKey)).toEqual([one.publicKey])
    expect([...peersOf(device)[0]!.allowedIps]).toEqual([])
  })

  test('[UAPI-4.12] without a private key it is configured but silent; taking the key away ends all sessions', async () => {
    const { a, b } = await openPair()
    await until('both have a session', () => isConnected(a) && isConnected(b))
    await a.apply(change({ privateKey: null }))
    expect(a.state().privateKey).toBe(undefined)
    expect(peersOf(a)[0]).toMatchObject({ persistentKeepaliveSeconds: 1, endpoint: here(b) })
    const { rxBytes } = peersOf(b)[0]!
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(peersOf(b)[0]!.rxBytes).toBe(rxBytes)
  })
})
