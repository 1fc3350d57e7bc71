import { afterAll, beforeAll, expect, test } from 'vitest'
import { Internet } from './internet.ts'
import { type NatKind, natKinds } from './nat.ts'

let internet: Internet
beforeAll(async () => {
  internet = await Internet.create()
})
afterAll(() => internet?.close())

/** Sends from one inside port to two outside addresses; says which ports they saw and which unasked answers came back. */
const probe = `
const dgram = require('node:dgram'), s = dgram.createSocket('udp4'), heard = []
s.on('message', (m, from) => heard.push(JSON.parse(m)))
s.bind(41641, () => { for (const a of ['203.0.113.10', '203.0.113.11']) s.send('x', 3478, a) })
setTimeout(() => { console.log(JSON.stringify(heard)); process.exit() }, 600)`
/** Answers from the asked address and port, and (marked "other") from another port and from another address. */
const echo = `
const dgram = require('node:dgram'), a = ['203.0.113.10', '203.0.113.11']
const open = (address, port) => new Promise((done) => { const s = dgram.createSocket('udp4'); s.bind(port, address, () => done(s)) })
Promise.all([open(a[0], 3478), open(a[1], 3478), open(a[0], 4000), open('203.0.113.12', 4000)]).then(([one, two, port, stranger]) => {
  const say = (s, from, kind) => s.send(JSON.stringify({ kind, port: from.port }), from.port, from.address)
  one.on('message', (m, from) => { say(one, from, 'first'); setTimeout(() => { say(port, from, 'other-port'); say(stranger, from, 'stranger') }, 100) })
  two.on('message', (m, from) => say(two, from, 'second'))
  console.log('up')
})`

const expected: Partial<Record<NatKind, { kinds: string[]; samePort: boolean | undefined }>> = {
  apdf: { kinds: ['first', 'second'], samePort: true },
  symmetric: { kinds: ['first', 'second'], samePort: false },
  fullcone: { kinds: ['first', 'other-port', 'second', 'stranger'], samePort: true },
  adf: { kinds: ['first', 'other-port', 'second'], samePort: true },
  one2one: { kinds: ['first', 'other-port', 'second', 'stranger'], samePort: true },
  noudp: { kinds: [], samePort: undefined },
  udp3478: { kinds: ['first', 'second'], samePort: true },
}

test('each NAT kind behaves as its name says', async () => {
  const server = await internet.publicHost('srv', ['203.0.113.10', '203.0.113.11', '203.0.113.12'])
  const lan = await internet.lan(['inside'], 'apdf')
  const answering = server.host.start(process.execPath, ['-e', echo])
  await new Promise((resolve) => answering.stdout?.once('data', resolve))
  for (const [kind, want] of Object.entries(expected)) {
    await lan.setKind(kind as NatKind)
    const heard: { kind: string; port: number }[] = JSON.parse(
      await lan.hosts[0]!.host.must(process.execPath, ['-e', probe]),
    )
    const port = (name: string) => heard.find((h) => h.kind === name)?.port
    expect({ kind, kinds: heard.map((h) => h.kind).sort() }, natKinds[kind as NatKind]).toEqual({
      kind,
      kinds: want.kinds,
    })
    if (want.samePort !== undefined) expect(port('first') === port('second'), kind).toBe(want.samePort)
  }
})
