import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, fromHex, toHex } from './bytes.ts'
import {
  type DnsQuery,
  decodeDns,
  decodeDnsQuery,
  dnsType,
  encodeDnsQuery,
  encodeDnsReply,
  keepSeconds,
  refuseDns,
  replyFor,
  udpLimit,
} from './dns.ts'
import { canonicalDnsName, decodeDnsName, isWithin, parentName, parseDnsName } from './dns-name.ts'
import { addressRecord, decodeRecordData, nameData, parseReverseName, reverseName } from './dns-record.ts'

/** As `dig +noedns +nocookie F.isi.arpa` asks; the reply carries a compressed CNAME and an address. [RFC 1035 §4.1.4] */
const query = fromHex('abcd 0100 0001 0000 0000 0000 0146 03697369 0461727061 00 0001 0001')
const reply = fromHex(
  'abcd 8180 0001 0002 0000 0000 0146 03697369 0461727061 00 0001 0001' +
    'c00c 0005 0001 00000e10 0006 03666f6f c00e' +
    'c028 0001 0001 0000003c 0004 0a000001',
)
const noName = fromHex(
  'abcd 8183 0001 0000 0001 0000 0146 03697369 0461727061 00 0001 0001' +
    'c00e 0006 0001 00000384 0018 c00e c00e 00000001 00000e10 00000258 00015180 0000012c',
)

function asked(bytes: Uint8Array = query): DnsQuery {
  const decoded = decodeDnsQuery(bytes)
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.value
}
function read(bytes: Uint8Array) {
  const decoded = decodeDns(bytes)
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.value
}

describe('[DNS-1] messages', () => {
  test('a question, with and without EDNS', () => {
    expect(asked()).toMatchObject({
      id: 0xabcd,
      question: { name: 'f.isi.arpa', type: 1, class: 1 },
      questionEnd: query.length,
    })
    expect(udpLimit(asked())).toBe(512)
    const own = asked(encodeDnsQuery(7, 'Nas.Example.', dnsType.AAAA)!)
    expect(own).toMatchObject({ id: 7, question: { name: 'nas.example', type: 28 }, edns: { udpBytes: 1232 } })
    expect(udpLimit(own)).toBe(1232)
  })

  test('a reply: names behind pointers, TTLs, data', () => {
    const message = read(reply)
    expect(message.answers.map(({ name, type, ttlSeconds }) => [name, type, ttlSeconds])).toEqual([
      ['f.isi.arpa', 5, 3600],
      ['foo.isi.arpa', 1, 60],
    ])
    expect(message.answers.map((record) => decodeRecordData(message, record))).toEqual([
      { ok: true, value: { kind: 'name', name: 'foo.isi.arpa' } },
      { ok: true, value: { kind: 'address', address: '10.0.0.1' } },
    ])
    expect(keepSeconds(message)).toBe(60)
  })

  test('a negative reply is kept as long as its SOA says, none without one', () => {
    const message = read(noName)
    expect(keepSeconds(message)).toBe(300)
    expect(decodeRecordData(message, message.authorities[0]!)).toEqual({
      ok: true,
      value: { kind: 'soa', server: 'isi.arpa', mailbox: 'isi.arpa', serial: 1, minimumSeconds: 300 },
    })
    expect(keepSeconds(read(concat(fromHex('abcd 8183 0001 0000 0000 0000'), query.subarray(12))))).toBeUndefined()
  })

  test('our own answer echoes the spelling and the id, and points at the question', () => {
    const record = addressRecord('100.64.0.7')!
    const answer = encodeDnsReply(
      asked(),
      { rcode: 0, isAuthoritative: true, answers: [{ ...record, ttlSeconds: 5 }] },
      512,
    )
    expect(toHex(answer)).toBe(
      toHex(
        fromHex(
          'abcd 8580 0001 0001 0000 0000 0146 03697369 0461727061 00 0001 0001 c00c 0001 0001 00000005 0004 64400007',
        ),
      ),
    )
  })

  test('too long for UDP: truncated, without records', () => {
    const long = { type: dnsType.TXT, ttlSeconds: 5, data: new Uint8Array(600) }
    const short = read(encodeDnsReply(asked(), { rcode: 0, answers: [long] }, 512))
    expect(short.flags & 0x200).toBe(0x200)
    expect(short.answers).toEqual([])
    expect(read(encodeDnsReply(asked(), { rcode: 0, answers: [long] }, 65_535)).answers).toHaveLength(1)
    const cut = read(replyFor(asked(), read(concat(reply, new Uint8Array(600))), 0, 512))
    expect([cut.flags & 0x200, cut.answers.length]).toEqual([0x200, 0])
  })

  test('a passed-on reply has the id and spelling of who asked, and TTLs that have aged', () => {
    const other = asked(fromHex('0001 0100 0001 0000 0000 0000 0166 03495349 0461727061 00 0001 0001'))
    const passed = read(replyFor(other, read(reply), 50, 512))
    expect(passed.id).toBe(1)
    expect(toHex(passed.bytes.subarray(12, 24))).toBe(toHex(other.bytes.subarray(12, 24)))
    expect(passed.answers.map(({ ttlSeconds }) => ttlSeconds)).toEqual([3550, 10])
  })

  test('refusals answer questions only', () => {
    expect(toHex(refuseDns(query, 1)!)).toBe('abcd81810000000000000000')
    expect(refuseDns(reply, 1)).toBeUndefined()
    expect(refuseDns(query.subarray(0, 11), 1)).toBeUndefined()
  })
})

describe('[DNS-2] hostile bytes', () => {
  test('cut at every length', () => {
    for (const whole of [query, reply, noName])
      for (let length = 0; length < whole.length; length++) expect(decodeDns(whole.subarray(0, length)).ok).toBe(false)
  })
  test('pointers to themselves, forwards and in circles are refused', () => {
    const name = (hex: string) => decodeDnsName(fromHex(`000000000000000000000000${hex}`), 12)
    expect(name('c00c')).toEqual({ ok: false, reason: 'dns-pointer' })
    expect(name('0161c00c')).toEqual({ ok: false, reason: 'dns-pointer' })
    expect(name('c00e0161c00c')).toEqual({ ok: false, reason: 'dns-pointer' })
    expect(name('40')).toEqual({ ok: false, reason: 'dns-label' })
    const header = '00'.repeat(12)
    expect(decodeDnsName(fromHex(`${header}016100c00c`), 15)).toEqual({ ok: true, value: { name: 'a', end: 17 } })
    expect(decodeDnsName(fromHex(`${header}016100c00b`), 15)).toEqual({ ok: false, reason: 'dns-pointer' })
  })
  test('a chain of pointers cannot make a name longer than 255 bytes', () => {
    const label = `3f${'61'.repeat(63)}`
    const header = '00'.repeat(12)
    const chain = fromHex(`${header}${label}00${label}c00c${label}c04d${label}c08f${label}c0d1`)
    expect(decodeDnsName(chain, 12 + 65 + 66).ok).toBe(true)
    expect(decodeDnsName(chain, 12 + 65 + 66 * 2)).toEqual({ ok: false, reason: 'dns-name-long' })
  })
  test('two questions, a second OPT, answers in place of questions, other opcodes', () => {
    expect(decodeDns(fromHex('0000 0100 0002 0000 0000 0000')).ok).toBe(false)
    const opt = '00 0029 04d0 00000000 0000'
    expect(decodeDns(fromHex(`0000 0100 0000 0000 0000 0002 ${opt} ${opt}`))).toEqual({ ok: false, reason: 'dns-opt' })
    expect(decodeDnsQuery(reply)).toEqual({ ok: false, reason: 'dns-not-query' })
    const notify = query.slice()
    notify[2] = 0x21
    expect(decodeDnsQuery(notify)).toEqual({ ok: false, reason: 'dns-opcode' })
  })
  test('random bytes and random damage never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.nat(255), (noise, at, byte) => {
        const damaged = reply.slice()
        damaged[at % damaged.length] = byte
        for (const bytes of [noise, damaged, concat(query.subarray(0, 12), noise)]) {
          const message = decodeDns(bytes)
          if (!message.ok) continue
          keepSeconds(message.value)
          for (const record of message.value.answers) decodeRecordData(message.value, record)
          replyFor(asked(), message.value, 1, 512)
        }
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('[DNS-3] names', () => {
  test('text and bytes there and back, equal whatever the case', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 8 }), (labels) => {
        const wire = concat(...labels.map((label) => concat(Uint8Array.of(label.length), label)), Uint8Array.of(0))
        const text = decodeDnsName(wire, 0)
        if (!text.ok) throw new Error(text.reason)
        const back = parseDnsName(text.value.name)
        if (!back.ok) throw new Error(back.reason)
        expect(decodeDnsName(back.value, 0)).toEqual({ ok: true, value: text.value })
      }),
    )
    expect(canonicalDnsName('NAS.Tail.Example.')).toBe('nas.tail.example')
    expect(canonicalDnsName('.')).toBe('')
    for (const wrong of ['a..b', '.a', 'a'.repeat(64), `${'a.'.repeat(128)}`, 'ä.example', 'a\\'])
      expect(canonicalDnsName(wrong)).toBeUndefined()
  })
  test('below a suffix, and one label up', () => {
    expect([
      isWithin('nas.tail', 'tail'),
      isWithin('tail', 'tail'),
      isWithin('retail', 'tail'),
      isWithin('a\\.tail', 'tail'),
      isWithin('x', ''),
    ]).toEqual([true, true, false, false, true])
    expect([parentName('a.b'), parentName('b'), parentName(''), parentName('a\\.b.c')]).toEqual([
      'b',
      '',
      undefined,
      'c',
    ])
  })
  test('reverse names of both families', () => {
    const v6 = fromHex('fd7a115ca1e000000000000000000053')
    expect(reverseName(Uint8Array.of(100, 64, 0, 7))).toBe('7.0.64.100.in-addr.arpa')
    expect(reverseName(v6)).toBe('3.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa')
    expect(parseReverseName('7.0.64.100.in-addr.arpa')).toEqual(Uint8Array.of(100, 64, 0, 7))
    expect(toHex(parseReverseName(reverseName(v6))!)).toBe(toHex(v6))
    for (const name of ['0.64.100.in-addr.arpa', '07.0.64.100.in-addr.arpa', '1.256.0.0.in-addr.arpa', 'g.ip6.arpa'])
      expect(parseReverseName(name)).toBeUndefined()
  })
})

test('[DNS-4] contents of records, and damaged ones', () => {
  const message = (type: number, hex: string) => {
    const length = (fromHex(hex).length + 0x10000).toString(16).slice(1)
    return read(
      concat(
        query.subarray(0, 6),
        fromHex('0001 0000 0000'),
        query.subarray(12),
        fromHex(`c00c ${(type + 0x10000).toString(16).slice(1)} 0001 00000005 ${length} ${hex}`),
      ),
    )
  }
  const data = (type: number, hex: string) => {
    const m = message(type, hex)
    return decodeRecordData(m, m.answers[0]!)
  }
  expect(data(dnsType.MX, '000a 016d c00e')).toEqual({
    ok: true,
    value: { kind: 'mx', host: 'm.isi.arpa', preference: 10 },
  })
  expect(data(dnsType.SRV, '0001 0002 01bb c00c')).toEqual({
    ok: true,
    value: { kind: 'srv', target: 'f.isi.arpa', port: 443, priority: 1, weight: 2 },
  })
  expect(data(dnsType.TXT, '026869 00 0121')).toEqual({ ok: true, value: { kind: 'txt', texts: ['hi', '', '!'] } })
  expect(data(99, 'beef')).toEqual({ ok: true, value: { kind: 'other', hex: 'beef' } })
  for (const [type, hex] of [
    [dnsType.A, '0a0000'],
    [dnsType.AAAA, '0a000001'],
    [dnsType.TXT, '05 6869'],
    [dnsType.MX, '00'],
    [dnsType.SOA, 'c00c c00c 00'],
    [dnsType.PTR, '03 61'],
  ] as const)
    expect(data(type, hex).ok).toBe(false)
  expect(toHex(nameData('a.b')!)).toBe('0161016200')
})
