/** The shell with real sockets on this machine: UDP, TCP, HTTPS in both versions, and an exit node's HTTP. */
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { DnsConfig, Node } from '../../../src-contract/control/map.ts'
import { nodeCrypto } from '../../../src-protocol/crypto/node-crypto.ts'
import { foldMapResponse } from '../../../src-protocol/machines/netmap.ts'
import { decodeDns, decodeDnsQuery, encodeDnsQuery, encodeDnsReply } from '../../../src-protocol/wire/dns.ts'
import { addressRecord, decodeRecordData } from '../../../src-protocol/wire/dns-record.ts'
import { encodeTcpPacket, encodeUdpPacket, parsePacket, tcpFlag } from '../../../src-protocol/wire/packet.ts'
import { keepCertificate } from '../../../src-server/relay/certificate.ts'
import { MemoryOsDns } from '../../io/dns/memory.ts'
import { createLog } from '../../io/log/log.ts'
import { handleDnsOverHttp } from './dns-over-http.ts'
import { DnsService } from './dns-service.ts'

const NAME = 'dns.lab.example'
let folder: string
let certificate: ReturnType<typeof keepCertificate>
const closers: (() => unknown)[] = []
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pt-dns-'))
  certificate = keepCertificate(folder, NAME, Date.now())
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})
afterAll(() => rmSync(folder, { recursive: true }))

function node(id: number, name: string, address: string, more: Partial<Node> = {}): Node {
  const key = `nodekey:${String(id).padStart(64, '0')}`
  return { ID: id, StableID: `n${id}`, Name: name, User: 1, Key: key, Addresses: [`${address}/32`], ...more } as Node
}

function service(
  dns: DnsConfig,
  options: {
    os?: MemoryOsDns
    exitNode?: Node
    isAccepted?: boolean
    lookUpBySystem?: (name: string) => Promise<void>
  } = {},
) {
  const packets: Uint8Array[] = []
  const logged: string[] = []
  const made = new DnsService({
    os: options.os ?? new MemoryOsDns(),
    writeToHost: (packet) => packets.push(packet),
    hasIpv6: () => false,
    randomBytes: (count) => nodeCrypto.randomBytes(count),
    now: () => performance.now(),
    log: createLog({ level: 'error', write: (line) => logged.push(line), wallClockMs: () => 0 }),
    ...(options.lookUpBySystem === undefined ? {} : { lookUpBySystem: options.lookUpBySystem }),
    secureContext: tls.createSecureContext({ ca: [certificate.cert] }),
  })
  closers.push(() => made.close())
  const message = {
    Node: node(1, 'me.tail.example.', '100.64.0.1'),
    Peers: [node(2, 'nas.tail.example.', '100.64.0.2')],
    DNSConfig: dns,
  }
  const folded = foldMapResponse(undefined, message, { wallMs: 0, isNewStream: true })
  if (!folded.ok) throw new Error(folded.reason)
  const { exitNode, isAccepted = true } = options
  made.configure({ netmap: folded.value.netmap, isAccepted, exitNode, wallMs: 0 })
  return Object.assign(made, { packets, logged, netmap: folded.value.netmap })
}

test('name servers that could not be given back at the end are told of', async () => {
  const os = new MemoryOsDns()
  const dns = service({ Proxied: true }, { os })
  await dns.settled()
  os.apply = async () => ({ kind: 'failed', message: '/etc/resolv.conf: read-only' })
  await dns.close()
  expect(dns.logged.join('')).toMatch(/name-servers-not-given-back.*resolv\.conf: read-only/)
})

async function ask(dns: DnsService, name: string): Promise<string> {
  await dns.settled()
  const answer = await dns.query(name, 1)
  return outcome(answer!.bytes)
}
function outcome(bytes: Uint8Array): string {
  const message = decodeDns(bytes)
  if (!message.ok) throw new Error(message.reason)
  const [record] = message.value.answers
  if (record === undefined) return `rcode ${message.value.rcode}`
  const data = decodeRecordData(message.value, record)
  return data.ok && data.value.kind === 'address' ? data.value.address : 'other'
}

function reply(bytes: Uint8Array, address: string, limit = 65_535): Uint8Array {
  const query = decodeDnsQuery(bytes)
  if (!query.ok) throw new Error(query.reason)
  return encodeDnsReply(query.value, { rcode: 0, answers: [{ ...addressRecord(address)!, ttlSeconds: 60 }] }, limit)
}

/** One port for UDP and TCP. */
async function plainServer(manner: { udp: 'answer' | 'truncate' | 'silent'; tcp: boolean }): Promise<string> {
  const tcp = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      const answer = reply(bytes.subarray(2), '10.0.0.2')
      const whole = Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 255]), answer])
      socket.write(whole.subarray(0, 5)) // in two pieces
      setImmediate(() => socket.write(whole.subarray(5)))
    })
  })
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve))
  const { port } = tcp.address() as AddressInfo
  closers.push(() => tcp.close())
  if (!manner.tcp) tcp.close()
  const udp = createSocket('udp4')
  udp.on('message', (bytes, from) => {
    if (manner.udp !== 'silent')
      udp.send(reply(bytes, '10.0.0.1', manner.udp === 'truncate' ? 20 : 512), from.port, from.address)
  })
  await new Promise<void>((resolve) => udp.bind(port, '127.0.0.1', resolve))
  closers.push(() => udp.close())
  return `127.0.0.1:${port}`
}

describe('[DNS-8] asking servers', () => {
  test('over UDP, over TCP after a truncated reply, over TCP when UDP is silent', async () => {
    for (const [manner, wanted] of [
      [{ udp: 'answer', tcp: false }, '10.0.0.1'],
      [{ udp: 'truncate', tcp: true }, '10.0.0.2'],
      [{ udp: 'silent', tcp: true }, '10.0.0.2'],
    ] as const) {
      expect(await ask(service({ Resolvers: [{ Addr: await plainServer(manner) }] }), 'www.example.com')).toBe(wanted)
    }
  })

  test('a closed port is noticed at once, and the next server asked', async () => {
    const dead = await plainServer({ udp: 'silent', tcp: false })
    await closers.pop()?.() // its UDP port, too
    const dns = service({ Resolvers: [{ Addr: dead }, { Addr: await plainServer({ udp: 'answer', tcp: false }) }] })
    const started = performance.now()
    expect(await ask(dns, 'www.example.com')).toBe('10.0.0.1')
    expect(performance.now() - started).toBeLessThan(240) // before the next would be asked anyway
  })

  test.each(['h2', 'http/1.1'])('over HTTPS by %s, at addresses given beforehand', async (version) => {
    const options = { cert: certificate.cert, key: certificate.key }
    const seen: string[] = []
    const handle = (bytes: Buffer, path: string | undefined, type: string | undefined): Uint8Array => {
      seen.push(`${path} ${type}`)
      return reply(bytes, '10.0.0.3')
    }
    const server =
      version === 'h2'
        ? http2.createSecureServer(options, async (request, response) => {
            response.end(handle(await body(request), request.url, request.headers['content-type']))
          })
        : https.createServer({ ...options, ALPNProtocols: ['http/1.1'] }, async (request, response) => {
            response.end(handle(await body(request), request.url, request.headers['content-type']))
          })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closers.push(() => server.close())
    const { port } = server.address() as AddressInfo
    const Addr = `https://${NAME}:${port}/dns-query`
    const dns = service({ Resolvers: [{ Addr, BootstrapResolution: ['127.0.0.1'] as never }] })
    expect(await ask(dns, 'www.example.com')).toBe('10.0.0.3')
    expect(await ask(dns, 'other.example.com')).toBe('10.0.0.3')
    expect(seen).toEqual(['/dns-query application/dns-message', '/dns-query application/dns-message'])
  })

  test('a certificate of somebody else is refused', async () => {
    const server = https.createServer({ cert: certificate.cert, key: certificate.key }, (_, response) => response.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closers.push(() => server.close())
    const Addr = `https://other.lab.example:${(server.address() as AddressInfo).port}/dns-query`
    const dns = service({ Resolvers: [{ Addr, BootstrapResolution: ['127.0.0.1'] as never }] })
    expect(await ask(dns, 'www.example.com')).toBe('rcode 2')
  })
})

async function body(request: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('[DNS-10] through an exit node: its resolver answers, for the wide world only', async () => {
  const far = service({ Proxied: true, Resolvers: [{ Addr: await plainServer({ udp: 'answer', tcp: false }) }] })
  const peerApi = createHttpServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://x')
    const asked = {
      method: request.method ?? '',
      query: url.searchParams,
      contentType: request.headers['content-type'],
      body: await body(request),
    }
    const answer = await handleDnsOverHttp(asked, (query) => far.answerForOther(query))
    response.writeHead(answer.status, { 'content-type': answer.contentType }).end(answer.body)
  })
  await new Promise<void>((resolve) => peerApi.listen(0, '127.0.0.1', resolve))
  closers.push(() => peerApi.close())
  const { port } = peerApi.address() as AddressInfo
  const exitNode = node(5, 'exit.tail.example.', '127.0.0.1', {
    Cap: 145,
    Hostinfo: { Services: [{ Proto: 'peerapi4', Port: port }] },
  })
  const near = service({ Proxied: true, Resolvers: [{ Addr: '192.0.2.1' }] }, { exitNode })
  expect(await ask(near, 'www.example.com')).toBe('10.0.0.1')
  expect(await ask(near, 'nas.tail.example')).toBe('100.64.0.2')
  expect(await ask(near, 'nas.local')).toBe('rcode 5')

  const direct = async (init: RequestInit, query = '') => {
    const response = await fetch(`http://127.0.0.1:${port}/dns-query${query}`, init)
    return response.status === 200 ? outcome(new Uint8Array(await response.arrayBuffer())) : response.status
  }
  const question = Buffer.from(encodeDnsQuery(7, 'www.example.com', 1)!)
  const headers = { 'content-type': 'application/dns-message' }
  expect(await direct({}, `?dns=${question.toString('base64url')}`)).toBe('10.0.0.1')
  expect(await direct({ method: 'POST', headers, body: question })).toBe('10.0.0.1')
  expect(await direct({ method: 'POST', headers, body: Buffer.from('x') })).toBe(400)
  expect(await direct({ method: 'POST', body: question })).toBe(415)
  expect(await direct({ method: 'PUT' })).toBe(405)
  expect(await direct({}, '?dns=$')).toBe(400)
})

describe('[DNS-6] the host', () => {
  const base = {
    nameservers: ['127.0.0.9', '100.100.100.100'] as never,
    searchDomains: ['old.example'],
    matchDomains: [],
  }
  test('a host that cannot split asks us everything, and we ask whom it asked', async () => {
    const os = new MemoryOsDns({ base: { ...base, nameservers: [] } })
    const dns = service({ Proxied: true, Domains: ['tail.example'] }, { os })
    await dns.settled()
    expect(os.applied).toEqual({
      nameservers: ['100.100.100.100'],
      searchDomains: ['tail.example', 'old.example'],
      matchDomains: [],
    })
    os.baseConfig = base
    os.events?.onBaseChange()
    await dns.settled()
    expect((await dns.query('www.example.com', 1))?.resolvers).toEqual([{ kind: 'plain', address: '127.0.0.9:53' }])
  })
  test('a host that can is only told our names', async () => {
    const os = new MemoryOsDns({ canSplit: true, base })
    const dns = service({ Proxied: true, Domains: ['tail.example'] }, { os })
    await dns.settled()
    expect(os.applied?.matchDomains).toContain('tail.example')
    dns.configure(undefined)
    await dns.settled()
    expect(os.applied).toBeUndefined()
  })
  test('not accepted: left alone, and our names are still there for who asks', async () => {
    const os = new MemoryOsDns({ base })
    const dns = service({ Proxied: true }, { os, isAccepted: false })
    await dns.settled()
    expect(os.applied).toBeUndefined()
    expect(await ask(dns, 'nas.tail.example')).toBe('100.64.0.2')
  })
})

test('[DNS-7] packets of the host: answered as packets, and nothing else', () => {
  const dns = service({ Proxied: true })
  const flow = { src: Uint8Array.of(100, 64, 0, 1), dst: Uint8Array.of(100, 100, 100, 100), srcPort: 4242, dstPort: 53 }
  dns.handlePacket(encodeUdpPacket(flow, encodeDnsQuery(7, 'nas.tail.example', 1)!))
  const packet = parsePacket(dns.packets[0]!)
  if (!packet.ok) throw new Error(packet.reason)
  expect([packet.value.srcText, packet.value.srcPort, packet.value.dstText, packet.value.dstPort]).toEqual([
    '100.100.100.100',
    53,
    '100.64.0.1',
    4242,
  ])
  expect(outcome(packet.value.payload)).toBe('100.64.0.2')
  dns.handlePacket(encodeUdpPacket({ ...flow, dstPort: 80 }, encodeDnsQuery(7, 'nas.tail.example', 1)!))
  dns.handlePacket(encodeUdpPacket(flow, new Uint8Array(5)))
  dns.handlePacket(new Uint8Array(30))
  expect(dns.packets).toHaveLength(1)
})

test('[DNS-14] a question asked again is answered to whoever asks it now, and told as the first one was', () => {
  const dns = service({ Proxied: true })
  const told: string[] = []
  dns.onAnswer = (bytes) => told.push(outcome(bytes))
  const ask = (id: number, srcPort: number) => {
    const flow = { src: Uint8Array.of(100, 64, 0, 1), dst: Uint8Array.of(100, 100, 100, 100), srcPort, dstPort: 53 }
    dns.handlePacket(encodeUdpPacket(flow, encodeDnsQuery(id, 'nas.tail.example', 1)!))
    const packet = parsePacket(dns.packets.at(-1)!)
    if (!packet.ok) throw new Error(packet.reason)
    return [packet.value.dstPort, packet.value.payload[1], outcome(packet.value.payload)]
  }
  expect([ask(7, 4242), ask(8, 4243), ask(9, 4244)]).toEqual([
    [4242, 7, '100.64.0.2'],
    [4243, 8, '100.64.0.2'],
    [4244, 9, '100.64.0.2'],
  ])
  expect(dns.packets).toHaveLength(3)
  expect(told).toEqual(['100.64.0.2', '100.64.0.2', '100.64.0.2'])
})

test('[BYP-3] what programs are told over TCP is heard, too', () => {
  const dns = service({ Proxied: true })
  const told: string[] = []
  dns.onAnswer = (bytes) => told.push(outcome(bytes))
  const flow = { src: Uint8Array.of(100, 64, 0, 1), dst: Uint8Array.of(100, 100, 100, 100), srcPort: 4242, dstPort: 53 }
  dns.handlePacket(encodeTcpPacket(flow, { flags: tcpFlag.syn, seq: 1, ack: 0 }))
  const opened = dns.packets[0]!
  const theirSeq = new DataView(opened.buffer, opened.byteOffset).getUint32(24)
  const query = encodeDnsQuery(7, 'nas.tail.example', 1)!
  const payload = Uint8Array.of(0, query.length, ...query)
  const ack = (theirSeq + 1) >>> 0
  dns.handlePacket(encodeTcpPacket(flow, { flags: tcpFlag.ack | tcpFlag.psh, seq: 2, ack, payload }))
  expect(told).toEqual(['100.64.0.2'])
})

test('[DNS-15] whether the system asks us: heard as a packet, told as trouble, and gone when mended', async () => {
  const events: string[] = []
  const asked: string[] = []
  let isOurs = false
  const os = new MemoryOsDns({ canSplit: true })
  const dns: ReturnType<typeof service> = service(
    { Proxied: true, Domains: ['tail.example'] },
    {
      os,
      lookUpBySystem: async (name) => {
        asked.push(name)
        if (isOurs) dns.handlePacket(question(name))
      },
    },
  )
  dns.onTroubles = ({ unasked }) => events.push(unasked ?? 'none')
  await vi.waitFor(() => expect(dns.systemVerdict).toBe('asks others'), { timeout: 20_000, interval: 20 })
  expect(asked.every((name) => /^check-[0-9a-f]{16}\.tail\.example\.$/.test(name))).toBe(true)
  expect(new Set(asked).size).toBe(asked.length)
  expect(events.at(-1)).toContain('tail.example')
  // who fights over the settings is the trouble then, and no other
  os.events?.onTrouble({ kind: 'fight', detail: 'x' })
  expect(events.at(-1)).toBe('none')
  os.events?.onTrouble(undefined)
  expect(events.at(-1)).toContain('tail.example')
  isOurs = true
  await vi.waitFor(() => expect(dns.systemVerdict).toBe('asks us'), { timeout: 20_000, interval: 20 })
  expect(events.at(-1)).toBe('none')

  function question(name: string): Uint8Array {
    const flow = { src: Uint8Array.of(100, 64, 0, 1), dst: Uint8Array.of(100, 100, 100, 100), srcPort: 1, dstPort: 53 }
    return encodeUdpPacket(flow, encodeDnsQuery(7, name, 28)!)
  }
}, 45_000)
