/** When JavaScript is told of traffic by the threads of the native path; on real sockets. */
import { expect, test } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { ipBytes } from '../src-protocol/wire/ip.ts'
import { encodeUdpPacket } from '../src-protocol/wire/packet.ts'
import { loadAddon } from './addon.ts'
import type { Activity, DoorEvent } from './door.ts'
import { type NativePath, openNative } from './native.ts'

const found = loadAddon()
const withAddon = test.skipIf(!found.ok)
const DEADLINE_MS = 10_000
/** Half of what the path means to leave between two. */
const LEAST_MS = 25

interface End {
  readonly path: NativePath
  readonly reports: Activity[]
  /** What else JavaScript was told. */
  readonly others: DoorEvent[]
}

async function open(): Promise<End> {
  const reports: Activity[] = []
  const others: DoorEvent[] = []
  const onEvents = (events: DoorEvent[]) => {
    for (const event of events) {
      if (event.kind === 'activity') reports.push(event)
      else others.push(event)
    }
  }
  const options = { tunName: undefined, mtuBytes: 1280, udpPort: 0, fwmark: 0, onEvents, aead: '' } as const
  if (!found.ok) throw new Error(found.reason)
  return { path: await openNative(found.addon, options), reports, others }
}

/** Two ends with a session for each of these peers. */
async function pair(peers: number): Promise<{ a: End; b: End; close: () => Promise<void> }> {
  const [a, b] = [await open(), await open()]
  const keys = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const
  for (let peer = 1; peer <= peers; peer++) {
    for (const [own, other, sendKey, receiveKey] of [
      [a, b, ...keys],
      [b, a, keys[1], keys[0]],
    ] as const) {
      own.path.setPeer({ peer, allowedIps: [`${addressOf(peer)}/32`], jailed: false })
      own.path.addKeypair({ peer, localIndex: peer, remoteIndex: peer, sendKey, receiveKey, slot: 'current' })
      own.path.setDestination(peer, { udp: `127.0.0.1:${other.path.udpPorts.v4}` as IpPort, relay: false })
    }
  }
  const close = async () => {
    await a.path.close()
    await b.path.close()
  }
  return { a, b, close }
}

const addressOf = (peer: number) => `100.64.${peer >> 8}.${peer & 255}`
const packetOf = (peer: number) =>
  encodeUdpPacket(
    { src: ipBytes(addressOf(peer)), dst: ipBytes('100.127.0.1'), srcPort: 1, dstPort: 2 },
    new Uint8Array(8),
  )
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

withAddon('a single packet, and then silence: both ends report it', async () => {
  const { a, b, close } = await pair(1)
  try {
    for (let sent = 1; sent <= 3; sent++) {
      a.path.sendPacket(1, packetOf(1))
      await until(() => a.reports.length === sent && b.reports.length === sent)
      expect(a.reports.at(-1)).toMatchObject({ peer: 1, sentData: true, sendCounter: sent, receivedAny: false })
      expect(b.reports.at(-1)).toMatchObject({ peer: 1, receivedData: true, sentAny: false })
      expect(b.reports.at(-1)!.from).toBe(`127.0.0.1:${a.path.udpPorts.v4}`)
    }
  } finally {
    await close()
  }
})

withAddon(
  'a flood that never pauses is reported, not more often than can be used; of its packets none comes up',
  async () => {
    const { a, b, close } = await pair(1)
    try {
      const start = performance.now()
      let sent = 0
      const deadline = start + DEADLINE_MS
      while (b.reports.length < 4 || sent < 2_000) {
        if (performance.now() > deadline) throw new Error(`${b.reports.length} reports of ${sent} packets`)
        for (let i = 0; i < 8; i++) a.path.sendPacket(1, packetOf(1))
        sent += 8
        await turn()
      }
      const elapsed = performance.now() - start
      expect(a.reports.length).toBeGreaterThan(0)
      expect([...a.others, ...b.others]).toEqual([])
      expect(b.path.stats().peers.get(1)!.rxPackets).toBeGreaterThan(100)
      for (const { reports } of [a, b]) expect(reports.length).toBeLessThanOrEqual(elapsed / LEAST_MS + 3)
    } finally {
      await close()
    }
  },
)

withAddon('one packet each of a thousand peers is a thousand reports; of a peer that went, none', async () => {
  const PEERS = 1_000
  const { a, b, close } = await pair(PEERS)
  try {
    b.path.removePeer(PEERS)
    for (let peer = 1; peer <= PEERS; peer++) {
      a.path.sendPacket(peer, packetOf(peer))
      if (peer % 50 === 0) await turn()
    }
    const told = (end: End) => new Set(end.reports.map((report) => report.peer)).size
    await until(() => told(a) === PEERS && told(b) === PEERS - 1)
    expect(b.reports.some((report) => report.peer === PEERS)).toBe(false)
  } finally {
    await close()
  }
})
