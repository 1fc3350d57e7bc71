import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { copyOf } from '../../../src-protocol/wire/bytes.ts'
import { PrivateCa } from '../../../src-server/certificates/private-ca.ts'
import { certificateFolder } from '../../io/certificates/folder.ts'
import { makeKeyAndRequest } from '../../io/certificates/key-and-request.ts'
import { silentLog } from '../../io/log/log.ts'
import { Certificates } from './certificates.ts'

// The real authority and the real folder; the connection between them is this file, and the clock is moved.

const DAY_MS = 86_400_000
const NAME = 'nas.example.net'
let folder: string
let nowMs: number
let asked: number
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-certs-'))
  nowMs = Date.UTC(2026, 10, 21)
  asked = 0
})
afterEach(() => rmSync(folder, { recursive: true }))

async function open() {
  const ca = await PrivateCa.open(folder, 'example.net', () => nowMs)
  const certificates = new Certificates({
    folder: certificateFolder(join(folder, 'certs')),
    makeKeyAndRequest,
    wallMs: () => nowMs,
    log: silentLog,
  })
  certificates.ask = async (request) => {
    asked++
    const issued = await ca.issue(copyOf(request), NAME)
    if (!issued.ok) throw new Error(issued.reason)
    return issued.value
  }
  const self = { Name: `${NAME}.`, CapMap: { 'pintail/certificates': [{ Root: ca.rootPem }] } }
  certificates.configure({ self } as unknown as Netmap)
  return { ca, certificates }
}

const serial = ({ cert }: { cert: string }): string => new X509Certificate(cert).serialNumber

test('[CRT-3.2] asked for once by many, kept with its key for the daemon alone, taken up by the next start', async () => {
  const { certificates } = await open()
  const pairs = await Promise.all([1, 2, 3].map(() => certificates.pair(NAME, 0)))
  expect([asked, new Set(pairs.map(serial)).size]).toEqual([1, 1])
  expect(statSync(join(folder, 'certs', `${NAME}.key`)).mode & 0o777).toBe(0o600)
  expect(serial(await (await open()).certificates.pair(NAME, 0))).toBe(serial(pairs[0]!))
  expect(asked).toBe(1)
})

test('[CRT-3.2] what is damaged, of another key or of another authority is not used', async () => {
  const first = await open()
  const kept = await first.certificates.pair(NAME, 0)
  const { keyPem } = await makeKeyAndRequest(NAME)
  for (const key of ['nonsense', keyPem]) {
    writeFileSync(join(folder, 'certs', `${NAME}.key`), key)
    expect(serial(await (await open()).certificates.pair(NAME, 0))).not.toBe(serial(kept))
  }
  const { certificates } = await open()
  certificates.ask = async () => first.ca.rootPem
  await expect(certificates.pair(NAME, 365 * DAY_MS)).rejects.toThrow('a certificate that is not ours')
  await expect(certificates.pair('bank.example', 0)).rejects.toThrow('must be one of ["nas.example.net"]')
  certificates.configure(undefined)
  await expect(certificates.pair(NAME, 0)).rejects.toThrow('this network issues no certificates')
})

test('[CRT-3.3] renewed after two thirds while it serves; after a failure again in an hour; at once when it is over', async () => {
  const { certificates } = await open()
  const first = await certificates.pair(NAME, 0)
  nowMs += 19 * DAY_MS
  expect([serial(await certificates.pair(NAME, 0)), asked]).toEqual([serial(first), 1])
  nowMs += 2 * DAY_MS
  const { ask } = certificates
  let failures = 0
  certificates.ask = async () => {
    failures++
    throw new Error('away')
  }
  expect(serial(await certificates.pair(NAME, 0))).toBe(serial(first))
  await expect.poll(() => failures).toBe(1)
  expect(serial(await certificates.pair(NAME, 0))).toBe(serial(first))
  expect(failures).toBe(1)
  nowMs += 3_600_001
  certificates.ask = ask
  expect(serial(await certificates.pair(NAME, 0))).toBe(serial(first)) // the old one serves meanwhile
  await expect.poll(async () => serial(await certificates.pair(NAME, 0))).not.toBe(serial(first))
  const second = await certificates.pair(NAME, 0)
  nowMs += 31 * DAY_MS
  expect(serial(await certificates.pair(NAME, 0))).not.toBe(serial(second))
  expect(asked).toBe(3)
})
