/**
 * The relay's certificate: the operator's own, or a self-made one that clients recognise by its SHA-256 from the DERP map,
 * so that nobody needs a CA or a public name.                                                       [derp.md §2.2, §8]
 */
import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { parseIp } from '../../src-protocol/wire/ip.ts'
import { utf8 } from '../../src-protocol/wire/text.ts'
import * as der from './der.ts'

export interface Certificate {
  readonly cert: string
  readonly key: string
  /** Set for a self-made one: `sha256-raw:` and the hash of its DER form. */
  readonly certName: string | undefined
}

const LIFE_DAYS = 3650
const RENEW_BEFORE_DAYS = 60
const DAY_MS = 86_400_000

/** Reads PEM files; the error names the file at fault. */
export function readCertificate(certPath: string, keyPath: string): Certificate {
  const cert = readFileSync(certPath, 'utf8')
  const key = readFileSync(keyPath, 'utf8')
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    throw new Error(`${certPath} and ${keyPath} are not a certificate and its key: ${(error as Error).message}`, {
      cause: error,
    })
  }
  return { cert, key, certName: undefined }
}

/** The self-made certificate for this host, made at first use and again when the host changes or it nears its end. */
export function keepCertificate(folder: string, hostname: string, nowMs: number): Certificate {
  const certPath = join(folder, 'relay.crt')
  const keyPath = join(folder, 'relay.key')
  if (existsSync(certPath) && existsSync(keyPath)) {
    const kept = { cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') }
    if (isUsable(kept.cert, hostname, nowMs)) return { ...kept, certName: pinOf(kept.cert) }
  }
  const made = makeCertificate(hostname, nowMs)
  writeFileSync(keyPath, made.key, { mode: 0o600 })
  writeFileSync(certPath, made.cert, { mode: 0o644 })
  return { ...made, certName: pinOf(made.cert) }
}

function isUsable(cert: string, hostname: string, nowMs: number): boolean {
  const parsed = new X509Certificate(cert)
  const names = parseIp(hostname).ok ? parsed.checkIP(hostname) : parsed.checkHost(hostname)
  return names !== undefined && parsed.validToDate.getTime() > nowMs + RENEW_BEFORE_DAYS * DAY_MS
}

export function pinOf(certPem: string): string {
  return `sha256-raw:${createHash('sha256').update(new X509Certificate(certPem).raw).digest('hex')}`
}

const ECDSA_SHA256 = der.sequence(der.objectId('1.2.840.10045.4.3.2'))

/** ECDSA P-256, signed by itself, for one name or address. */
export function makeCertificate(hostname: string, nowMs: number): { cert: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ip = parseIp(hostname)
  const name = der.sequence(der.set(der.sequence(der.objectId('2.5.4.3'), der.text(hostname.slice(0, 64)))))
  const serial = randomBytes(16)
  serial[0] = (serial[0]! & 0x7f) | 0x40 // positive and of full length
  const alternative = der.sequence(ip.ok ? der.raw(7, ip.value) : der.raw(2, utf8(hostname)))
  const extensions = der.sequence(
    der.sequence(der.objectId('2.5.29.17'), der.octets(alternative)),
    der.sequence(der.objectId('2.5.29.19'), der.isTrue(), der.octets(der.sequence())),
    der.sequence(der.objectId('2.5.29.15'), der.isTrue(), der.octets(der.bits(Uint8Array.of(0x80), 7))),
    der.sequence(der.objectId('2.5.29.37'), der.octets(der.sequence(der.objectId('1.3.6.1.5.5.7.3.1')))),
  )
  const body = der.sequence(
    der.tagged(0, der.integer(Uint8Array.of(2))),
    der.integer(serial),
    ECDSA_SHA256,
    name,
    der.sequence(der.time(new Date(nowMs - DAY_MS)), der.time(new Date(nowMs + LIFE_DAYS * DAY_MS))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der.tagged(3, extensions),
  )
  const whole = der.sequence(body, ECDSA_SHA256, der.bits(sign('sha256', body, privateKey)))
  const lines = Buffer.from(whole)
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
