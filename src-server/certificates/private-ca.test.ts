import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, connect as tlsConnect } from 'node:tls'
import 'reflect-metadata' // the library below finds its parts by it
import * as x509 from '@peculiar/x509'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { copyOf } from '../../src-protocol/wire/bytes.ts'
import { PrivateCa } from './private-ca.ts'

const NOW = Date.UTC(2026, 10, 21)
const DAY_MS = 86_400_000
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-ca-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function request(name: string) {
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  })
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
  return { csr: new Uint8Array(made.rawData), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') }
}

/** The error of a TLS connection that trusts the root alone, or "trusted". */
async function judge(ca: PrivateCa, cert: string, key: string, name: string): Promise<string> {
  const server = createServer({ cert, key }, (socket) => socket.end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const outcome = await new Promise<string>((resolve) => {
    const socket = tlsConnect({ port, host: '127.0.0.1', servername: name, ca: ca.rootPem })
    socket.once('secureConnect', () => resolve('trusted'))
    socket.once('error', (error) => resolve(error.message))
  })
  await new Promise((resolve) => server.close(resolve))
  return outcome
}

test('[CRT-1.1] the root is made once, its key is for its owner only, and it vouches for its domain', async () => {
  const ca = await PrivateCa.open(folder, 'example.net', () => NOW)
  expect((await PrivateCa.open(folder, 'example.net', () => NOW)).rootPem).toBe(ca.rootPem)
  expect(statSync(join(folder, 'ca.key')).mode & 0o777).toBe(0o600)
  const root = new X509Certificate(ca.rootPem)
  expect([root.ca, root.validToDate.getTime() - NOW]).toEqual([true, 3_650 * DAY_MS])
  await expect(PrivateCa.open(folder, 'other.net', () => NOW)).rejects.toThrow(/ca\.crt vouches for another domain/)
  writeFileSync(join(folder, 'ca.key'), 'nonsense')
  await expect(PrivateCa.open(folder, 'example.net', () => NOW)).rejects.toThrow(/ca\.key/)
  rmSync(join(folder, 'ca.key'))
  await expect(PrivateCa.open(folder, 'example.net', () => NOW)).rejects.toThrow(/ca\.key/)
})

test('[CRT-1.2] a certificate is for the name that was granted, whatever the request says, for 30 days', async () => {
  const ca = await PrivateCa.open(folder, 'example.net', () => NOW)
  const { csr } = await request('bank.example')
  const issued = await ca.issue(csr, 'nas.example.net')
  if (!issued.ok) throw new Error(issued.reason)
  const certificate = new X509Certificate(issued.value)
  expect(certificate.subjectAltName).toBe('DNS:nas.example.net')
  expect(certificate.subject).toBe('CN=nas.example.net')
  expect(certificate.ca).toBe(false)
  expect(certificate.validToDate.getTime() - NOW).toBe(30 * DAY_MS)
  expect(certificate.verify(new X509Certificate(ca.rootPem).publicKey)).toBe(true)
})

test('[CRT-1.3] TLS with it is trusted by whoever trusts the root; a name outside of the domain is not, even from this root', async () => {
  const ca = await PrivateCa.open(folder, 'example.net', Date.now)
  for (const [name, outcome] of [
    ['nas.example.net', 'trusted'],
    ['bank.example', 'permitted subtree violation'],
  ] as const) {
    const { csr, key } = await request(name)
    const issued = await ca.issue(csr, name)
    if (!issued.ok) throw new Error(issued.reason)
    expect(await judge(ca, issued.value, key, name), name).toMatch(outcome)
  }
})

test('[CRT-1.4] what is no request, is changed, large, or of another kind of key is refused', async () => {
  const ca = await PrivateCa.open(folder, 'example.net', () => NOW)
  const { csr } = await request('nas.example.net')
  for (let at = 0; at < csr.length; at += 7) {
    const changed = copyOf(csr)
    changed[at]! ^= 0x41
    expect((await ca.issue(changed, 'nas.example.net')).ok, String(at)).toBe(false)
    expect((await ca.issue(copyOf(csr, 0, at), 'nas.example.net')).ok).toBe(false)
  }
  expect((await ca.issue(new Uint8Array(5_000), 'nas.example.net')).ok).toBe(false)
})
