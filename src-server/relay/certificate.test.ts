import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { expect, test } from 'vitest'
import { keepCertificate, makeCertificate, pinOf } from './certificate.ts'

const now = Date.now()

test('[SRV-6.1] a self-made certificate names its host, verifies itself and serves TLS', async () => {
  for (const host of ['127.0.0.1', 'relay.example.com', '2001:db8::1']) {
    const { cert, key } = makeCertificate(host, now)
    const parsed = new X509Certificate(cert)
    expect(parsed.verify(parsed.publicKey)).toBe(true)
    expect(host.includes('e') && !host.includes(':') ? parsed.checkHost(host) : parsed.checkIP(host)).toBe(host)
    expect(parsed.validToDate.getTime()).toBeGreaterThan(now + 3600 * 86_400_000)
    if (host !== '127.0.0.1') continue
    const server = createServer({ cert, key }, (socket) => socket.end('hello'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const heard = await new Promise((resolve, reject) => {
      const socket = connect({ port: (server.address() as AddressInfo).port, host, ca: cert })
      socket.once('data', (data) => resolve(data.toString()))
      socket.once('error', reject)
    })
    expect(heard).toBe('hello')
    server.close()
  }
})

test('[SRV-6.2] it is kept until the host changes or it nears its end', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-cert-'))
  const first = keepCertificate(folder, '192.0.2.1', now)
  expect(first.certName).toBe(pinOf(first.cert))
  expect(first.certName).toMatch(/^sha256-raw:[0-9a-f]{64}$/)
  expect(keepCertificate(folder, '192.0.2.1', now + 1000)).toEqual(first)
  expect(keepCertificate(folder, '192.0.2.2', now).certName).not.toBe(first.certName)
  const second = keepCertificate(folder, '192.0.2.2', now)
  expect(keepCertificate(folder, '192.0.2.2', now + 3620 * 86_400_000).certName).not.toBe(second.certName)
  rmSync(folder, { recursive: true })
})
