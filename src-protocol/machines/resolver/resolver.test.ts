import { describe, expect, test } from 'vitest'
import type { IpPort } from '../../../src-contract/ids.ts'
import { type Bytes, concat, fromHex } from '../../wire/bytes.ts'
import { type DnsQuery, decodeDns, decodeDnsQuery, dnsType, encodeDnsQuery, encodeDnsReply } from '../../wire/dns.ts'
import { addressRecord, decodeRecordData, nameData } from '../../wire/dns-record.ts'
import type { Via } from './forwarder.ts'
import { type DnsPlan, emptyPlan } from './plan.ts'
import { Resolver, type ResolverEffect } from './resolver.ts'
import type { Upstream } from './upstream.ts'

const at = (address: string): Upstream => ({ kind: 'plain', address: address as IpPort })
const A = at('192.0.2.1:53')
const B = at('192.0.2.2:53')

/** What a scripted server does with a question: an answer after a while, or nothing at all. */
type Server = (query: DnsQuery, via: Via) => { readonly afterMs: number; readonly bytes?: Bytes }[]
const gives = (address: string, ttlSeconds = 60, limit = 65_535): Server => {
  const record = addressRecord(address)!
  return (query) => [
    { afterMs: 10, bytes: encodeDnsReply(query, { rcode: 0, answers: [{ ...record, ttlSeconds }] }, limit) },
  ]
}
const late =
  (server: Server, byMs: number): Server =>
  (query, via) =>
    server(query, via).map((reply) => ({ ...reply, afterMs: reply.afterMs + byMs }))
const only =
  (which: Via, server: Server, other: Server = () => []): Server =>
  (query, via) =>
    via === which ? server(query, via) : other(query, via)
const dead: Server = () => []
const refusing: Server = () => [{ afterMs: 1 }]
const rcode =
  (code: number): Server =>
  (query) => [{ afterMs: 10, bytes: encodeDnsReply(query, { rcode: code }, 512) }]

/** The resolver among scripted servers, with a clock that jumps from event to event. */
class World {
  now = 0
  readonly resolver = new Resolver({ random16: () => (this.#seed = (this.#seed * 16_807) % 65_521) })
  readonly sent: { readonly atMs: number; readonly to: string; readonly via: Via }[] = []
  readonly answers = new Map<number, { readonly atMs: number; readonly bytes: Uint8Array }>()
  readonly #servers: { readonly [address: string]: Server }
  #events: { atMs: number; run: () => ResolverEffect[] }[] = []
  #seed = 4711
  #token = 0

  constructor(plan: Partial<DnsPlan>, servers: { readonly [address: string]: Server } = {}, base: Upstream[] = []) {
    this.#servers = servers
    this.resolver.setPlan({ ...emptyPlan, isAccepted: true, ...plan }, base)
  }

  /** Asks and answers when and what came back. */
  ask(
    name: string,
    type: number = dnsType.A,
    transport: 'udp' | 'stream' = 'udp',
    query = encodeDnsQuery(9, name, type)!,
  ) {
    const token = this.begin(query, transport)
    this.run(() => this.answers.has(token))
    const answer = this.answers.get(token)!
    return { ...read(answer.bytes), tookMs: answer.atMs }
  }

  begin(query: Uint8Array, transport: 'udp' | 'stream' = 'udp', isForOther = false): number {
    const token = ++this.#token
    this.#do(this.resolver.handleQuery(query, { token, transport, isForOther }, this.now))
    return token
  }

  run(isDone: () => boolean): void {
    for (let turns = 0; !isDone(); turns++) {
      this.#events.sort((x, y) => x.atMs - y.atMs)
      const wake = this.resolver.nextWake()
      const next = Math.min(wake ?? Number.POSITIVE_INFINITY, this.#events[0]?.atMs ?? Number.POSITIVE_INFINITY)
      if (!Number.isFinite(next) || turns > 1_000) throw new Error('nothing happens any more')
      this.now = Math.max(this.now, next)
      const due = this.#events.filter(({ atMs }) => atMs <= this.now)
      this.#events = this.#events.filter(({ atMs }) => atMs > this.now)
      for (const event of due) this.#do(event.run())
      this.#do(this.resolver.wake(this.now))
    }
  }

  #do(effects: ResolverEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'answer') this.answers.set(effect.token, { atMs: this.now, bytes: effect.bytes })
      if (effect.kind !== 'send') continue
      const to = effect.upstream.kind === 'plain' ? effect.upstream.address : effect.upstream.url
      this.sent.push({ atMs: this.now, to, via: effect.via })
      const query = decodeDnsQuery(effect.bytes)
      if (!query.ok) throw new Error(query.reason)
      for (const { afterMs, bytes } of this.#servers[to]?.(query.value, effect.via) ?? []) {
        const run = (): ResolverEffect[] =>
          bytes === undefined
            ? this.resolver.handleFailure(effect.attempt, this.now)
            : this.resolver.handleReply(effect.attempt, bytes, this.now)
        this.#events.push({ atMs: this.now + afterMs, run })
      }
    }
  }
}

function read(bytes: Uint8Array) {
  const message = decodeDns(bytes)
  if (!message.ok) throw new Error(message.reason)
  const data = message.value.answers.map((record) => {
    const value = decodeRecordData(message.value, record)
    return !value.ok
      ? value.reason
      : value.value.kind === 'address'
        ? value.value.address
        : value.value.kind === 'name'
          ? value.value.name
          : value.value.kind
  })
  const { id, rcode: code, flags, answers } = message.value
  return {
    id,
    rcode: code,
    isTruncated: (flags & 0x200) !== 0,
    data,
    ttls: answers.map(({ ttlSeconds }) => ttlSeconds),
  }
}

const magic: Partial<DnsPlan> = {
  hosts: new Map([
    ['nas.tail.example', ['100.64.0.2'] as never],
    ['six.tail.example', ['fd7a:115c:a1e0::3'] as never],
    ['both.tail.example', ['100.64.0.5', 'fd7a:115c:a1e0::5'] as never],
  ]),
  reverse: new Map([['2.0.64.100.in-addr.arpa', 'nas.tail.example']]),
  localDomains: new Set(['tail.example', '64.100.in-addr.arpa']),
}

describe('[DNS-7] own names', () => {
  const world = new World(magic)
  test.each([
    ['nas.tail.example', dnsType.A, 0, ['100.64.0.2']],
    ['NAS.Tail.Example', dnsType.A, 0, ['100.64.0.2']],
    ['nas.tail.example', dnsType.AAAA, 0, []],
    ['six.tail.example', dnsType.A, 0, []],
    ['six.tail.example', dnsType.AAAA, 0, ['fd7a:115c:a1e0::3']],
    ['both.tail.example', dnsType.ANY, 0, ['100.64.0.5', 'fd7a:115c:a1e0::5']],
    ['nas.tail.example', dnsType.HTTPS, 0, []],
    ['nas.tail.example', dnsType.SOA, 4, []],
    ['nobody.tail.example', dnsType.A, 3, []],
    ['a.nas.tail.example', dnsType.A, 3, []],
    ['tail.example', dnsType.A, 0, []],
    ['2.0.64.100.in-addr.arpa', dnsType.PTR, 0, ['nas.tail.example']],
    ['9.0.64.100.in-addr.arpa', dnsType.PTR, 3, []],
    ['100.100.100.100.in-addr.arpa', dnsType.PTR, 0, ['magicdns.localhost-tailscale-daemon']],
    ['magicdns.localhost-tailscale-daemon', dnsType.AAAA, 0, ['fd7a:115c:a1e0::53']],
    ['hidden.onion', dnsType.A, 3, []],
    ['10-1-2-3-via-7', dnsType.AAAA, 0, ['fd7a:115c:a1e0:b1a:0:7:a01:203']],
    ['10-1-2-3-via-0x10.x.ts.net', dnsType.AAAA, 0, ['fd7a:115c:a1e0:b1a:0:10:a01:203']],
    ['10-1-2-3-via-7.tail.example', dnsType.A, 0, []],
    ['10-1-2-300-via-7.tail.example', dnsType.AAAA, 3, []],
  ])('%s type %i', (name, type, code, data) => {
    expect(world.ask(name, type)).toMatchObject({ id: 9, rcode: code, data, tookMs: 0 })
  })
  test('with whole subtrees where the network says so', () => {
    const wild = new World({ ...magic, wildcards: new Set(['nas.tail.example']) })
    expect(wild.ask('a.b.nas.tail.example').data).toEqual(['100.64.0.2'])
  })
  test('another class is refused, nobody to ask is a failure', () => {
    const chaos = encodeDnsQuery(9, 'version.bind', dnsType.TXT)!
    chaos[chaos.length - 12] = 3 // class, before the EDNS record
    expect(world.ask('', dnsType.A, 'udp', chaos).rcode).toBe(5)
    expect(world.ask('www.example.com').rcode).toBe(2)
  })
  test('garbage: an error for what has an id, silence for the rest', () => {
    const token = world.begin(fromHex('1234 0100 0002 0000 0000 0000'))
    expect(read(world.answers.get(token)!.bytes)).toMatchObject({ id: 0x1234, rcode: 1 })
    expect(world.answers.has(world.begin(fromHex('1234')))).toBe(false)
    // a name that goes on in the id, which is another one when the question is passed on [seed 1791124576]
    const inHeader = world.begin(fromHex('0007 0100 0001 0000 0000 0000 0161 c000 0001 0001'))
    expect(read(world.answers.get(inHeader)!.bytes)).toMatchObject({ id: 7, rcode: 1 })
    expect(world.answers.has(world.begin(encodeDnsReply(query('x'), { rcode: 0 }, 512)))).toBe(false)
  })
})

function query(name: string): DnsQuery {
  const decoded = decodeDnsQuery(encodeDnsQuery(9, name, dnsType.A)!)
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.value
}

describe('[DNS-8] F15: others fail over within 3 s, own names never wait', () => {
  const servers: [string, { readonly [address: string]: Server }, number][] = [
    ['a dead one first', { '192.0.2.1:53': dead, '192.0.2.2:53': gives('10.9.9.9') }, 300],
    ['one that refuses connections', { '192.0.2.1:53': refusing, '192.0.2.2:53': gives('10.9.9.9') }, 50],
    [
      'one that is 5 s late',
      { '192.0.2.1:53': late(gives('10.6.6.6'), 5_000), '192.0.2.2:53': gives('10.9.9.9') },
      300,
    ],
    ['one that fails', { '192.0.2.1:53': rcode(2), '192.0.2.2:53': gives('10.9.9.9') }, 50],
    ['one that refuses to answer', { '192.0.2.1:53': rcode(5), '192.0.2.2:53': gives('10.9.9.9') }, 50],
    ['one that only speaks TCP', { '192.0.2.1:53': only('tcp', gives('10.9.9.9')), '192.0.2.2:53': dead }, 1_100],
    [
      'a truncated one',
      { '192.0.2.1:53': only('tcp', gives('10.9.9.9'), gives('10.9.9.9', 60, 20)), '192.0.2.2:53': dead },
      50,
    ],
    [
      'one whose id is wrong',
      {
        '192.0.2.1:53': (q, via) =>
          gives('6.6.6.6')(q, via).map(({ afterMs, bytes }) => ({
            afterMs,
            bytes: bytes!.map((b, i) => (i === 0 ? b ^ 1 : b)),
          })),
        '192.0.2.2:53': gives('10.9.9.9'),
      },
      300,
    ],
    [
      'one that answers another question',
      {
        '192.0.2.1:53': (q) => gives('6.6.6.6')({ ...query('evil.example'), id: q.id }, 'udp'),
        '192.0.2.2:53': gives('10.9.9.9'),
      },
      300,
    ],
    [
      'one that sends noise',
      { '192.0.2.1:53': () => [{ afterMs: 1, bytes: fromHex('ffff ffff') }], '192.0.2.2:53': gives('10.9.9.9') },
      300,
    ],
    [
      'a lost datagram',
      {
        '192.0.2.1:53': only(
          'tcp',
          dead,
          (() => {
            let n = 0
            return (q: DnsQuery, v: Via) => (n++ === 0 ? [] : gives('10.9.9.9')(q, v))
          })(),
        ),
        '192.0.2.2:53': dead,
      },
      2_100,
    ],
  ]
  test.each(servers)('%s', (_, script, withinMs) => {
    const world = new World({ ...magic, defaults: [A, B] }, script)
    world.begin(encodeDnsQuery(1, 'pending.example.com', dnsType.A)!)
    expect(world.ask('nas.tail.example')).toMatchObject({ data: ['100.64.0.2'], tookMs: 0 })
    const answer = world.ask('www.example.com')
    expect(answer).toMatchObject({ rcode: 0, data: ['10.9.9.9'] })
    expect(answer.tookMs).toBeLessThanOrEqual(withinMs)
  })

  test('the right reply counts after a false one', () => {
    const world = new World(
      { defaults: [A] },
      {
        '192.0.2.1:53': (q, via) => [
          { afterMs: 1, bytes: gives('6.6.6.6')({ ...q, id: q.id ^ 1 }, via)[0]!.bytes! },
          ...gives('10.9.9.9')(q, via),
        ],
      },
    )
    expect(world.ask('www.example.com')).toMatchObject({ data: ['10.9.9.9'], tookMs: 10 })
    expect(world.resolver.lies.get('dns-other-id')).toBe(1)
  })

  test('who was silent comes last for half a minute', () => {
    const world = new World({ defaults: [A, B] }, { '192.0.2.1:53': dead, '192.0.2.2:53': gives('10.9.9.9') })
    world.ask('one.example.com')
    const { tookMs } = world.ask('two.example.com')
    expect(tookMs - 260).toBe(10)
    expect(world.sent.at(-1)).toMatchObject({ to: '192.0.2.2:53' })
    world.now += 31_000
    world.ask('three.example.com')
    expect(world.sent.filter(({ atMs }) => atMs === 31_270)[0]).toMatchObject({ to: '192.0.2.1:53' })
  })

  test('all dead: a failure within 6 s, and that is noticed; one reply ends it', () => {
    let isDead = true
    const world = new World(
      { defaults: [A] },
      { '192.0.2.1:53': (q, via) => (isDead ? [] : gives('10.9.9.9')(q, via)) },
    )
    for (const name of ['a.example', 'b.example', 'c.example']) expect(world.ask(name).rcode).toBe(2)
    expect(world.now).toBe(18_000)
    expect(world.resolver.failing).toBeDefined()
    isDead = false
    expect(world.ask('d.example').rcode).toBe(0)
    expect(world.resolver.failing).toBeUndefined()
  })

  test('all refuse: that refusal is passed on', () => {
    const world = new World({ defaults: [A, B] }, { '192.0.2.1:53': rcode(5), '192.0.2.2:53': rcode(5) })
    expect(world.ask('www.example.com')).toMatchObject({ rcode: 5, tookMs: 20 })
  })

  test('well-known servers are asked encrypted first', () => {
    const world = new World({ defaults: [at('9.9.9.9:53')] }, { 'https://dns.quad9.net/dns-query': gives('10.9.9.9') })
    expect(world.ask('www.example.com').data).toEqual(['10.9.9.9'])
    expect(world.sent).toEqual([{ atMs: 0, to: 'https://dns.quad9.net/dns-query', via: 'http' }])
    const blocked = new World({ defaults: [at('9.9.9.9:53')] }, { '9.9.9.9:53': gives('10.9.9.9') })
    expect(blocked.ask('www.example.com').tookMs).toBe(510)
  })

  test('split zones: the longest suffix decides; then the defaults, then what the system had', () => {
    const plan = {
      ...magic,
      routes: new Map([
        ['corp.example', [A]],
        ['lab.tail.example', [B]],
      ]),
    }
    const script = {
      '192.0.2.1:53': gives('10.1.1.1'),
      '192.0.2.2:53': gives('10.2.2.2'),
      '192.0.2.3:53': gives('10.3.3.3'),
    }
    const world = new World(plan, script, [at('192.0.2.3:53')])
    expect(world.ask('www.corp.example').data).toEqual(['10.1.1.1'])
    expect(world.ask('x.lab.tail.example').data).toEqual(['10.2.2.2'])
    expect(world.ask('www.example.com').data).toEqual(['10.3.3.3'])
    expect(world.ask('x.tail.example').rcode).toBe(3)
  })

  test('nobody outside may say where our machines are', () => {
    const rebind: Server = (q) => [
      {
        afterMs: 1,
        bytes: encodeDnsReply(
          q,
          {
            rcode: 0,
            answers: [
              { type: dnsType.CNAME, ttlSeconds: 60, data: nameData('nas.tail.example')! },
              { ...addressRecord('10.6.6.6')!, name: 'nas.tail.example', ttlSeconds: 60 },
            ],
          },
          65_535,
        ),
      },
    ]
    expect(new World({ ...magic, defaults: [A] }, { '192.0.2.1:53': rebind }).ask('evil.example').rcode).toBe(2)
    expect(new World({ defaults: [A] }, { '192.0.2.1:53': rebind }).ask('evil.example').data).toEqual([
      'nas.tail.example',
      '10.6.6.6',
    ])
  })
})

describe('[DNS-9] the cache', () => {
  test('a reply is kept as long as it says, at most five minutes, and ages', () => {
    const world = new World({ defaults: [A] }, { '192.0.2.1:53': gives('10.9.9.9', 86_400) })
    world.ask('www.example.com')
    world.now += 100_000
    expect(world.ask('WWW.example.com').ttls).toEqual([86_300])
    expect(world.sent).toHaveLength(1)
    world.now += 201_000
    world.ask('www.example.com')
    expect(world.sent).toHaveLength(2)
  })
  test('the same question at the same time is asked once', () => {
    const world = new World({ defaults: [A] }, { '192.0.2.1:53': gives('10.9.9.9') })
    const tokens = [1, 2, 3].map((id) => world.begin(encodeDnsQuery(id, 'www.example.com', dnsType.A)!))
    world.run(() => world.answers.size === 3)
    expect(tokens.map((token) => read(world.answers.get(token)!.bytes).id)).toEqual([1, 2, 3])
    expect(world.sent).toHaveLength(1)
  })
  test('failures, other flavours and private options are not mixed in', () => {
    const world = new World({ defaults: [A] }, { '192.0.2.1:53': rcode(2) })
    world.ask('www.example.com')
    world.ask('www.example.com')
    expect(world.sent).toHaveLength(2)
    const good = new World({ defaults: [A] }, { '192.0.2.1:53': gives('10.9.9.9') })
    good.ask('www.example.com')
    const bare = concat(encodeDnsQuery(9, 'www.example.com', dnsType.A)!.subarray(0, -11))
    bare[11] = 0
    good.ask('', dnsType.A, 'udp', bare)
    const cookie = concat(
      encodeDnsQuery(9, 'www.example.com', dnsType.A)!.subarray(0, -2),
      fromHex('000c 000a 0008 0102030405060708'),
    )
    good.ask('', dnsType.A, 'udp', cookie)
    good.ask('', dnsType.A, 'udp', cookie)
    expect(good.sent).toHaveLength(4)
  })
  test('a new plan or network forgets, and ends what is open', () => {
    const world = new World({ defaults: [A] }, { '192.0.2.1:53': gives('10.9.9.9') })
    world.ask('www.example.com')
    const token = world.begin(encodeDnsQuery(3, 'other.example', dnsType.A)!)
    const ended = world.resolver.setPlan({ ...emptyPlan, defaults: [B] }, [])
    expect(ended.map(({ kind }) => kind)).toEqual(['cancel', 'answer'])
    expect(world.answers.has(token)).toBe(false)
    expect(world.resolver.failing).toBeUndefined()
    world.resolver.setPlan({ ...emptyPlan, defaults: [A] }, [])
    world.ask('www.example.com')
    expect(world.sent).toHaveLength(3)
  })
  test('over UDP a long reply is cut, over a stream it is whole', () => {
    const long: Server = (q) => [
      {
        afterMs: 1,
        bytes: encodeDnsReply(
          q,
          { rcode: 0, answers: Array.from({ length: 200 }, () => ({ ...addressRecord('10.9.9.9')!, ttlSeconds: 60 })) },
          65_535,
        ),
      },
    ]
    const world = new World({ defaults: [A] }, { '192.0.2.1:53': long })
    expect(world.ask('www.example.com')).toMatchObject({ isTruncated: true, data: [] })
    expect(world.ask('www.example.com', dnsType.A, 'stream').data).toHaveLength(200)
    expect(world.sent).toHaveLength(1)
  })
})

describe('[DNS-14] answers that are ready', () => {
  const ask = (world: World, name: string, id: number) => {
    const bytes = world.resolver.readyAnswer(encodeDnsQuery(id, name, dnsType.A)!, 'udp')
    return bytes === undefined ? undefined : read(bytes)
  }
  test('own names, from the second question on, as the first one was answered', () => {
    const world = new World(magic)
    expect(ask(world, 'nas.tail.example', 9)).toBe(undefined)
    const first = world.ask('nas.tail.example')
    const { tookMs: _, ...words } = first
    expect(ask(world, 'nas.tail.example', 77)).toEqual({ ...words, id: 77 })
    expect(world.resolver.counters.own).toBe(2)
  })
  test('a new plan knows better', () => {
    const world = new World(magic)
    world.ask('nas.tail.example')
    world.resolver.setPlan(
      { ...emptyPlan, ...magic, hosts: new Map([['nas.tail.example', ['100.64.0.9'] as never]]) },
      [],
    )
    expect(ask(world, 'nas.tail.example', 1)).toBe(undefined)
    expect(world.ask('nas.tail.example').data).toEqual(['100.64.0.9'])
    expect(ask(world, 'nas.tail.example', 1)?.data).toEqual(['100.64.0.9'])
  })
  test('never what others said or may not ask: that ages, or is for them alone', () => {
    const world = new World({ ...magic, defaults: [A] }, { '192.0.2.1:53': gives('10.9.9.9') })
    world.ask('www.example.com')
    world.ask('www.example.com')
    expect(ask(world, 'www.example.com', 1)).toBe(undefined)
    world.begin(encodeDnsQuery(1, 'nas.tail.example', dnsType.A)!, 'udp', true)
    expect(ask(world, 'nas.tail.example', 1)).toBe(undefined)
  })
})

test('[DNS-16] Firefox is told to ask the system, while there is something of ours to miss', () => {
  const servers = { '192.0.2.1:53': gives('10.9.9.9') }
  const canary = 'use-application-dns.net'
  const world = new World({ ...magic, defaults: [A] }, servers)
  expect([world.ask(canary).rcode, world.ask('Use-Application-DNS.net', dnsType.AAAA).rcode]).toEqual([3, 3])
  expect([world.sent.length, world.resolver.counters.browsers]).toEqual([0, 2])
  expect(world.ask(`www.${canary}`).data).toEqual(['10.9.9.9'])
  expect(new World({ routes: new Map([['corp.example', [A]]]), defaults: [A] }, servers).ask(canary).rcode).toBe(3)
  expect(new World({ defaults: [A] }, servers).ask(canary).data).toEqual(['10.9.9.9'])
  const token = world.begin(encodeDnsQuery(1, canary, dnsType.A)!, 'stream', true)
  world.run(() => world.answers.has(token))
  expect(read(world.answers.get(token)!.bytes).data).toEqual(['10.9.9.9'])
})

test('[DNS-10] for others, as their exit node: the wide world, nothing of ours', () => {
  const world = new World(
    { ...magic, exitNodeRefuses: ['ts.net'], defaults: [A] },
    { '192.0.2.1:53': gives('10.9.9.9') },
  )
  const ask = (name: string) => {
    const token = world.begin(encodeDnsQuery(1, name, dnsType.A)!, 'stream', true)
    world.run(() => world.answers.has(token))
    return read(world.answers.get(token)!.bytes).rcode
  }
  expect(
    ['www.example.com', 'nas.tail.example', 'x.ts.net', 'printer', 'printer.local', '2.0.64.100.in-addr.arpa'].map(ask),
  ).toEqual([0, 5, 5, 5, 5, 5])
})
