/** DNS messages and resolv.conf: what programs of this machine, servers and other programs' files may say. */
import { expect, test, vi } from 'vitest'
import { concat, fromHex, toHex } from './bytes.ts'
import {
  type DnsMessage,
  decodeDns,
  decodeDnsQuery,
  dnsType,
  encodeDnsQuery,
  encodeDnsReply,
  keepSeconds,
  LARGEST_UDP_BYTES,
  PLAIN_UDP_BYTES,
  refuseDns,
  replyFor,
  udpLimit,
} from './dns.ts'
import { canonicalDnsName, decodeDnsName, isWithin, MAX_NAME_BYTES, parentName, parseDnsName } from './dns-name.ts'
import { addressRecord, decodeRecordData, nameData, parseReverseName, reverseName } from './dns-record.ts'
import { expectReason, fuzz, mutate, mutateText } from './fuzz-kit.lab.ts'
import { formatResolvConf, isStumpOfOurs, parseResolvConf, resolvConfOwner } from './resolv-conf.ts'

/** Of work, not of waiting: a busy machine gets more. */
vi.setConfig({ testTimeout: 120_000 })

const QUERIES = [
  ['nas.tail.example', dnsType.A],
  ['', dnsType.NS],
  ['2.0.64.100.in-addr.arpa', dnsType.PTR],
  [`${'l'.repeat(63)}.${'m'.repeat(63)}.example`, dnsType.AAAA],
].map(([name, type]) => encodeDnsQuery(0x1234, name as string, type as number)!)
const asked = decodeDnsQuery(QUERIES[0]!)
if (!asked.ok) throw new Error(asked.reason)
const question = asked.value
const HEAD = '1234 8180 0001'
const NAME = '036e6173 047461696c 076578616d706c65 00'
const REPLIES = [
  encodeDnsReply(question, { rcode: 0, answers: [{ ...addressRecord('100.64.0.2')!, ttlSeconds: 5 }] }, 512),
  encodeDnsReply(question, { rcode: 3 }, 512),
  encodeDnsReply(
    question,
    { rcode: 0, answers: [{ type: dnsType.PTR, ttlSeconds: 5, data: nameData('nas.tail.example')! }] },
    512,
  ),
  // CNAME, MX, SRV, TXT with names that point back; an SOA that says how long there is nothing
  fromHex(`${HEAD} 0001 0000 0000 ${NAME} 0001 0001 c00c 0005 0001 00000e10 0006 03666f6f c010`),
  fromHex(
    `${HEAD} 0002 0000 0000 ${NAME} 000f 0001 c00c 000f 0001 00000e10 0004 000a c010 c00c 0010 0001 00000e10 0003 026869`,
  ),
  fromHex(`${HEAD} 0001 0000 0000 ${NAME} 0021 0001 c00c 0021 0001 00000e10 0008 0001 0002 0035 c010`),
  fromHex(
    `1234 8183 0001 0000 0001 0000 ${NAME} 0001 0001 c010 0006 0001 00000384 0018 c00c c00c 00000001 00000e10 00000258 00015180 0000012c`,
  ),
]
const SAMPLES = [...QUERIES, ...REPLIES]

function expectSound(message: DnsMessage): void {
  for (const record of [...message.answers, ...message.authorities, ...message.additionals]) {
    if (record.start > record.end || record.end > message.bytes.length)
      throw new Error('a record outside of its message')
    if (record.ttlSeconds < 0 || record.ttlSeconds > 0x7fffffff) throw new Error(`TTL ${record.ttlSeconds}`)
    expectName(record.name)
    const data = decodeRecordData(message, record)
    if (!data.ok) expectReason(data.reason)
  }
  if (message.question !== undefined) expectName(message.question.name)
  const keep = keepSeconds(message)
  if (keep !== undefined && !(keep >= 0)) throw new Error(`kept ${keep}`)
}

function expectName(name: string): void {
  const wire = parseDnsName(name)
  if (!wire.ok || wire.value.length > MAX_NAME_BYTES) throw new Error(`not a name: ${name}`)
  if (canonicalDnsName(name) !== name) throw new Error(`not canonical: ${name}`)
}

test('[DNS-2] messages: whatever is read is inside its message, and is answered within the limit', () => {
  let queries = 0
  let replies = 0
  fuzz(
    20_000,
    (random) => mutate(random, SAMPLES),
    (bytes, random) => {
      const refusal = refuseDns(bytes, 1)
      if (refusal !== undefined && (refusal.length !== 12 || !decodeDns(refusal).ok)) throw new Error('a bad refusal')
      const message = decodeDns(bytes)
      if (!message.ok) return expectReason(message.reason)
      expectSound(message.value)
      const limit = random.pick([PLAIN_UDP_BYTES, LARGEST_UDP_BYTES, 65_535])
      if (message.value.question !== undefined) {
        // longer than any limit is what the question alone may be
        const passed = replyFor(question, message.value, random.below(10_000), limit)
        if (passed.length > limit) throw new Error(`${passed.length} bytes, ${limit} allowed`)
        const read = decodeDns(passed)
        if (read.ok && read.value.id !== question.id) throw new Error('the id of somebody else')
        replies++
      }
      const query = decodeDnsQuery(bytes)
      if (!query.ok) return expectReason(query.reason)
      queries++
      const own = encodeDnsReply(
        query.value,
        { rcode: 0, answers: [{ ...addressRecord('::1')!, ttlSeconds: 5 }] },
        udpLimit(query.value),
      )
      if (own.length > udpLimit(query.value)) throw new Error('longer than the asker takes')
      const back = decodeDns(own)
      if (!back.ok || toHex(own.subarray(0, 2)) !== toHex(bytes.subarray(0, 2)))
        throw new Error('an answer nobody reads')
      expect(back.value.question).toEqual(query.value.question)
    },
  )
  expect(queries).toBeGreaterThan(300)
  expect(replies).toBeGreaterThan(300)
})

test('[DNS-2] the longest messages take no time: names that lead through all of it, records without end', () => {
  const CHAIN = 8_000
  const first = 12 + 1 + 10
  const pointer = (to: number) => Uint8Array.of(0xc0 | (to >> 8), to & 0xff)
  /** The first points at a name, each next one at the one before. */
  const chain = Array.from({ length: CHAIN }, (_, i) => pointer(i === 0 ? first : first + 3 + 2 * (i - 1)))
  const data = concat(fromHex('01 61 00'), ...chain)
  const head = (count: number) => concat(fromHex('1234 8180 0000'), Uint8Array.of(count >> 8, count & 0xff, 0, 0, 0, 0))
  const holder = concat(fromHex('00 0010 0001 00000000'), Uint8Array.of(data.length >> 8, data.length & 0xff), data)
  const empty = fromHex('0010 0001 00000000 0000')
  const records = (name: Uint8Array, count: number) => Array.from({ length: count }, () => concat(name, empty))
  const messages = [
    concat(head(4_001), holder, ...records(pointer(first + 3 + 2 * (CHAIN - 1)), 4_000)),
    concat(head(4_001), holder, ...records(pointer(first + 3 + 2 * 100), 4_000)),
    concat(head(3_001), holder, ...records(fromHex('01 61 01 62 c017'), 3_000)),
    concat(head(65_535), ...records(fromHex('00'), 4_000)),
  ]
  const started = process.cpuUsage()
  for (const bytes of messages) for (let again = 0; again < 5; again++) decodeDns(bytes)
  expect(process.cpuUsage(started).user / 1000).toBeLessThan(1_000)
  expect(
    messages.map((bytes) => decodeDns(bytes)).map((read) => (read.ok ? read.value.answers.length : read.reason)),
  ).toEqual(['dns-pointer', 4_001, 3_001, 'dns-name-short'])
})

test('[DNS-2] a name may follow as many pointers as it can have labels, none of them into the header', () => {
  const first = 12
  const pointer = (to: number) => Uint8Array.of(0xc0 | (to >> 8), to & 0xff)
  const at = (i: number) => first + 3 + 2 * i
  const chain = Array.from({ length: 128 }, (_, i) => pointer(i === 0 ? first : at(i - 1)))
  const message = concat(new Uint8Array(first), fromHex('01 61 00'), ...chain, pointer(0), pointer(11))
  expect(decodeDnsName(message, at(126))).toEqual({ ok: true, value: { name: 'a', end: at(127) } })
  for (const start of [at(127), at(128), at(129)])
    expect(decodeDnsName(message, start)).toEqual({ ok: false, reason: 'dns-pointer' })
})

test('[DNS-3] names: one text for each, and every one lies within its parents', () => {
  fuzz(
    15_000,
    (random) =>
      mutateText(
        random,
        ['nas.tail.example', 'a\\.b.c', 'x\\\\.y', '\\000.\\255', '.', '', '2.0.64.100.in-addr.arpa'],
        'aZ0-_.\\ \u00e9\u0000*',
      ),
    (text) => {
      const name = canonicalDnsName(text)
      if (name === undefined) return
      expectName(name)
      let above = parentName(name)
      for (let steps = 0; above !== undefined; above = parentName(above)) {
        if (!isWithin(name, above)) throw new Error(`${name} is not within ${above}`)
        if (++steps > 128) throw new Error('no end of parents')
      }
      if (isWithin(`x${name}`, name) && name !== '') throw new Error('another label')
      const ip = parseReverseName(name)
      if (ip !== undefined && reverseName(ip) !== name) throw new Error('reverse names differ')
    },
  )
})

const CONFIGS = [
  'nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch old.example lan\noptions timeout:2 attempts:1\n',
  '# Generated by NetworkManager\ndomain example.com\nnameserver fe80::1%eth0\n',
  '# This is /run/systemd/resolve/stub-resolv.conf managed by man:systemd-resolved(8).\nnameserver 127.0.0.53\n',
  '; generated by resolvconf\r\nnameserver 127.0.0.1\r\n',
  formatResolvConf({ nameservers: ['100.100.100.100' as never], searchDomains: ['tail.example'] }, '/etc/backup'),
]

test('[DNS-12] resolv.conf: read within bounds, and written so that it reads the same', () => {
  fuzz(
    15_000,
    (random) => mutateText(random, CONFIGS, '#; \t\n\r.:%0f-\\\u0000\u00e9'),
    (text) => {
      const conf = parseResolvConf(text)
      resolvConfOwner(text)
      if (conf.nameservers.length > 16 || conf.searchDomains.length > 64) throw new Error('no bounds')
      const written = formatResolvConf(conf, '/etc/backup')
      if (resolvConfOwner(written) !== 'ours' || !isStumpOfOurs(written)) throw new Error('we do not know our own file')
      const again = parseResolvConf(written)
      expect(again.nameservers).toEqual(conf.nameservers)
      expect(conf.searchDomains).toEqual(expect.arrayContaining([...again.searchDomains]))
      const keys = written.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
      if (!keys.every((line) => /^(nameserver \S+|search [0-9a-z_. -]+)$/.test(line)))
        throw new Error('a line of somebody else')
    },
  )
})

test('[DNS-12] resolv.conf of 64 KiB takes no time', () => {
  const started = process.cpuUsage()
  for (const text of [
    'nameserver 192.0.2.1\n'.repeat(3_000),
    Array.from({ length: 3_000 }, (_, i) => `nameserver 10.0.${i >> 8}.${i & 255}`).join('\n'),
    `search ${'a '.repeat(32_000)}`,
    `search ${'\\'.repeat(65_000)}`,
    `# ${'x'.repeat(65_000)}`,
    ' '.repeat(65_000),
    '\n'.repeat(65_000),
  ]) {
    const { nameservers, searchDomains } = parseResolvConf(text)
    resolvConfOwner(text)
    expect(nameservers.length).toBeLessThanOrEqual(16)
    expect(searchDomains.length).toBeLessThanOrEqual(64)
  }
  expect(process.cpuUsage(started).user / 1000).toBeLessThan(2_000)
})
