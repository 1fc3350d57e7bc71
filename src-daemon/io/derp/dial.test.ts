/** Dialling against TLS servers of our own making, honest and not. */
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { DerpNode } from '../../../src-contract/control/map.ts'
import { keepCertificate, pinOf } from '../../../src-server/relay/certificate.ts'
import { dialDerp } from './dial.ts'

let folder: string
let certificate: ReturnType<typeof keepCertificate>
const servers: tls.Server[] = []
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-dial-'))
  certificate = keepCertificate(folder, '127.0.0.1', Date.now())
  // As if the operator's own authority were installed on this machine.
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), certificate.cert])
})
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})
afterAll(() => rmSync(folder, { recursive: true }))

interface Seen {
  request: string
  servername: string | false | null
  alpn: string | false | null
}

/** Answers every request with these bytes; tells what was asked. */
async function serve(answer: string | ((socket: tls.TLSSocket) => void)): Promise<{ node: DerpNode; seen: Seen }> {
  const seen: Seen = { request: '', servername: null, alpn: null }
  const options = { cert: certificate.cert, key: certificate.key, ALPNProtocols: ['h2', 'http/1.1'] }
  const server = tls.createServer(options, (socket) => {
    socket.on('error', () => {}) // the client may leave at any time
    seen.servername = socket.servername
    seen.alpn = socket.alpnProtocol
    socket.on('data', (bytes) => {
      seen.request += bytes.toString('latin1')
      if (!seen.request.endsWith('\r\n\r\n')) return
      if (typeof answer === 'string') socket.write(answer, 'latin1')
      else answer(socket)
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const node = { Name: '1a', RegionID: 1, HostName: '127.0.0.1', CertName: pinOf(certificate.cert), DERPPort: port }
  return { node, seen }
}
const dial = (node: DerpNode, ideal?: string) =>
  dialDerp(node, ideal, { fwmark: 0, signal: AbortSignal.timeout(5_000) }).then(({ socket, head }) => {
    socket.destroy()
    return Buffer.from(head).toString('latin1')
  })
const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n'

describe('[RELAY-9] the upgrade', () => {
  test('frames in the same record as the answer are not lost', async () => {
    const { node } = await serve(`${UPGRADED}\x01\x00\x00`)
    expect(await dial(node)).toBe('\x01\x00\x00')
  })
  test('what is asked: HTTP/1.1, never h2; the port; the ideal node if this is another', async () => {
    const { node, seen } = await serve(UPGRADED)
    await dial(node, '1z')
    const lines = seen.request.trim().split('\r\n')
    expect(seen.alpn).toBe('http/1.1')
    expect(lines[0]).toBe('GET /derp HTTP/1.1')
    expect(lines).toEqual(
      expect.arrayContaining([`Host: 127.0.0.1:${node.DERPPort}`, 'Upgrade: DERP', 'Ideal-Node: 1z']),
    )
  })
})

describe('[RELAY-7] trust', () => {
  test('an authority that is installed here vouches for the host name', async () => {
    const { node, seen } = await serve(UPGRADED)
    await dial({ ...node, CertName: '' })
    expect(seen.servername).toBe(false) // an address is never sent as a name
  })
  test('CertName: one name is sent, another verified', async () => {
    const { node, seen } = await serve(UPGRADED)
    const fronted = { ...node, HostName: 'front.example', IPv4: '127.0.0.1', IPv6: 'none' }
    await dial({ ...fronted, CertName: '127.0.0.1' })
    expect(seen.servername).toBe('front.example')
    await expect(dial({ ...fronted, CertName: '' })).rejects.toThrow(/front\.example/)
    await expect(dial({ ...node, CertName: 'other.example' })).rejects.toThrow(/other\.example/)
  })
})

describe('[RELAY-8] what is no relay', () => {
  test.each([
    ['a page', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', /answered 200/],
    ['a refusal', 'HTTP/1.1 426 Upgrade Required\r\n\r\n', /answered 426/],
    ['not HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', /answered 0/],
    ['an endless header', `HTTP/1.1 101 ${'x'.repeat(20_000)}`, /endless header/],
  ])('%s', async (_, answer, problem) => {
    const { node } = await serve(answer)
    await expect(dial(node)).rejects.toThrow(problem)
  })
  test('one that hangs up in the middle of its answer', async () => {
    const { node } = await serve((socket) => socket.end('HTTP/1.1 101 Swi'))
    await expect(dial(node)).rejects.toThrow(/closed the connection/)
  })
  test('one that never answers: an abort ends it', async () => {
    const { node } = await serve(() => {})
    const dialling = dialDerp(node, undefined, { fwmark: 0, signal: AbortSignal.timeout(100) })
    await expect(dialling).rejects.toThrow()
  })
})

// Repeated, because a busy machine may lose those milliseconds elsewhere.
test('[RELAY-3] a family that fails at once does not hold up the other', { retry: 5 }, async () => {
  const { node } = await serve(UPGRADED)
  const server = servers[0]!
  // The same port over IPv6 is closed, and over IPv4 nobody listens at this address.
  const started = performance.now()
  await expect(dial({ ...node, IPv4: '127.0.0.9', IPv6: '::1' })).rejects.toThrow(/ECONNREFUSED|EADDRNOTAVAIL/)
  expect(performance.now() - started).toBeLessThan(190)
  expect(server.listening).toBe(true)
})
