import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { IpPort } from '../src-contract/ids.ts'
import { loadAddon } from './addon.ts'
import { slotBytesFor, socketAddress } from './slots.ts'
import type { UdpHandlers, UdpTransport } from './udp.ts'
import { openAddonUdp } from './udp-addon.ts'
import { openDgramUdp } from './udp-dgram.ts'

const options = { port: 0, mark: 0, slotBytes: slotBytesFor(1280) }
const found = loadAddon()
const kinds: [string, ((handlers: UdpHandlers, port?: number) => Promise<UdpTransport>) | undefined][] = [
  ['addon', found.ok ? (handlers, port = 0) => openAddonUdp(found.addon, { ...options, port }, handlers) : undefined],
  ['dgram', (handlers, port = 0) => openDgramUdp({ ...options, port }, handlers)],
]

interface Heard {
  readonly from: IpPort
  readonly bytes: string
}

function listener() {
  const heard: Heard[] = []
  const failed: { to: IpPort; code: string }[] = []
  const waiting: { count: number; done: () => void }[] = []
  const check = () => {
    for (const w of waiting.splice(0)) {
      if (heard.length >= w.count) w.done()
      else waiting.push(w)
    }
  }
  const handlers: UdpHandlers = {
    onDatagram: (bytes, from) => heard.push({ from: from.text(), bytes: Buffer.from(bytes).toString('hex') }),
    onBatchEnd: check,
    onSendFailed: (to, code) => failed.push({ to, code }),
  }
  const got = (count: number) =>
    new Promise<void>((done) => {
      waiting.push({ count, done })
      check()
    })
  return { heard, failed, handlers, got }
}

describe.each(kinds)('%s', (_kind, open) => {
  const run = open === undefined ? test.skip : test

  run('both families, many sizes, in order', async () => {
    const [one, two] = [listener(), listener()]
    const [a, b] = [await open!(one.handlers), await open!(two.handlers)]
    const targets = [`127.0.0.1:${b.ports.v4}`, ...(b.ports.v6 === undefined ? [] : [`[::1]:${b.ports.v6}`])]
    for (const target of targets) {
      two.heard.length = 0
      const address = socketAddress(target as IpPort)!
      const sent: string[] = []
      // Runs of equal sizes with shorter ends: what segmentation offload groups, and what it must not.
      for (const size of [100, 100, 100, 40, 40, 100, 1, 0, 100, 100, 1312, 1312, 1312, 200, 200, 201, 201]) {
        const bytes = new Uint8Array(size).fill(sent.length)
        a.reserve(address, size)!.set(bytes)
        sent.push(Buffer.from(bytes).toString('hex'))
      }
      a.flush()
      await two.got(sent.length)
      expect(two.heard.map((h) => h.bytes)).toEqual(sent)
      const port = target.startsWith('[') ? a.ports.v6 : a.ports.v4
      expect(two.heard[0]!.from).toBe(target.replace(/\d+$/, String(port)))
    }
    await a.close()
    await b.close()
  })

  run('a burst of a thousand arrives whole and in order', async () => {
    const [one, two] = [listener(), listener()]
    const [a, b] = [await open!(one.handlers), await open!(two.handlers)]
    const address = socketAddress(`127.0.0.1:${b.ports.v4}` as IpPort)!
    const count = 1000
    for (let i = 0; i < count; i++) {
      const room = a.reserve(address, 64)!
      room.fill(0)
      room[0] = i >> 8
      room[1] = i & 0xff
    }
    a.flush()
    // Node's own socket has the kernel's default receive buffer only; losing the end of a burst there is not our fault.
    const expected = a.kind === 'addon' ? count : 100
    await two.got(expected)
    const numbers = two.heard.map((h) => Number.parseInt(h.bytes.slice(0, 4), 16))
    expect(numbers.slice(0, expected)).toEqual(Array.from({ length: expected }, (_, i) => i))
    await a.close()
    await b.close()
  })

  run('a send that fails is told by address; its neighbours go out', async () => {
    const [one, two] = [listener(), listener()]
    const [a, b] = [await open!(one.handlers), await open!(two.handlers)]
    const good = socketAddress(`127.0.0.1:${b.ports.v4}` as IpPort)!
    const broadcast = socketAddress('255.255.255.255:9' as IpPort)!
    for (const to of [good, broadcast, good]) a.reserve(to, 32)!.fill(1)
    a.flush()
    await two.got(2)
    expect(one.failed).toHaveLength(1)
    expect(one.failed[0]).toMatchObject({
      to: '255.255.255.255:9',
      code: expect.stringMatching(/^E(ACCES|NETUNREACH)$/),
    })
    await a.close()
    await b.close()
  })

  run('longer than a slot: counted and gone', async () => {
    const { heard, handlers, got } = listener()
    const a = await open!(handlers)
    const plain = createSocket('udp4')
    await new Promise<void>((done) => plain.send(new Uint8Array(9000), a.ports.v4, '127.0.0.1', () => done()))
    await new Promise<void>((done) => plain.send(new Uint8Array(100), a.ports.v4, '127.0.0.1', () => done()))
    await got(1)
    expect(heard.at(-1)!.bytes).toHaveLength(200)
    expect(heard.every((h) => h.bytes.length <= 200)).toBe(true)
    expect(a.truncated()).toBe(1)
    plain.close()
    await a.close()
  })

  run('the port is free again after closing; a taken one is an error with a code', async () => {
    const { handlers } = listener()
    const a = await open!(handlers)
    const { v4 } = a.ports
    await expect(open!(handlers, v4)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await a.close()
    await a.close()
    const plain = createSocket('udp4')
    plain.bind(v4)
    await once(plain, 'listening')
    await new Promise<void>((done) => plain.close(done))
  })
})
