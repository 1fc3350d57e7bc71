/**
 * The network's own certificate authority: a root that can vouch for names of this network and for nothing else, and
 * certificates for its machines. Who may ask for which name: `certificate-requests.ts`. [RFC 5280 §4.2.1; docs/rules/certificates.md]
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyOf } from '../../src-protocol/wire/bytes.ts'
import { bad, type Decoded, ok } from '../../src-protocol/wire/decoded.ts'
import { utf8 } from '../../src-protocol/wire/text.ts'
import * as der from '../relay/der.ts'

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000
const ROOT_DAYS = 3_650
/** Machines ask again after two thirds of it. */
const LIFE_DAYS = 30
/** Clocks of the network's machines may be this wrong. */
const SKEW_MS = 3_600_000
const MAX_CSR_BYTES = 4_096
const NAME_CONSTRAINTS = '2.5.29.30'

export class PrivateCa {
  readonly rootPem: string
  readonly #root: X509Certificate
  /** PKCS #8. */
  readonly #key: Uint8Array<ArrayBuffer>
  readonly #now: () => number

  private constructor(rootPem: string, root: X509Certificate, key: Uint8Array<ArrayBuffer>, now: () => number) {
    this.rootPem = rootPem
    this.#root = root
    this.#key = key
    this.#now = now
  }

  /** Made at first use. A root without its key, one that is damaged or one for another domain is an error that names the file. */
  static async open(folder: string, domain: string, now: () => number): Promise<PrivateCa> {
    const certPath = join(folder, 'ca.crt')
    const keyPath = join(folder, 'ca.key')
    if (!existsSync(certPath) && !existsSync(keyPath)) {
      const made = await makeRoot(domain, now())
      writeFileSync(keyPath, made.keyPem, { mode: 0o600 })
      writeFileSync(certPath, made.certPem, { mode: 0o644 })
    }
    const { pem, root } = read(certPath, (text) => ({ pem: text, root: new X509Certificate(text) }))
    if (root.raw.indexOf(constraintsFor(domain)) < 0)
      throw new Error(
        `${certPath} vouches for another domain than base_domain (${domain}); move ca.crt and ca.key away and others are made, which machines then have to trust anew`,
      )
    const key = read(keyPath, createPrivateKey)
    if (!root.checkPrivateKey(key)) throw new Error(`${keyPath} cannot be used: it is not the key of ${certPath}`)
    return new PrivateCa(pem, root, copyOf(key.export({ type: 'pkcs8', format: 'der' })), now)
  }

  /** For exactly this name, whatever else the request says. The reason is a sentence for whoever asked. */
  async issue(csr: Uint8Array<ArrayBuffer>, name: string): Promise<Decoded<string>> {
    if (csr.length > MAX_CSR_BYTES) return bad('the request is too large')
    const x509 = await library()
    const request = parsed(() => new x509.Pkcs10CertificateRequest(csr))
    if (request === undefined || !(await request.verify().catch(() => false)))
      return bad('that is no certificate request')
    if (request.publicKey.algorithm.name !== 'ECDSA') return bad('the key has to be an elliptic-curve one')
    const now = this.#now()
    const root = new x509.X509Certificate(this.rootPem)
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: randomSerial(),
      issuer: root.subjectName,
      subject: [{ CN: [name.slice(0, 64)] }],
      notBefore: new Date(now - SKEW_MS),
      notAfter: new Date(Math.min(now + LIFE_DAYS * DAY_MS, this.#root.validToDate.getTime())),
      publicKey: request.publicKey,
      signingKey: await crypto.subtle.importKey('pkcs8', this.#key, P256, false, ['sign']),
      signingAlgorithm: P256,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
        await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
      ],
    })
    return ok(`${certificate.toString('pem').trim()}\n`)
  }
}

/** Twenty megabytes, and as long to load as the rest of the server: only when something is signed. */
async function library(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata') // it finds its parts by this
  return import('@peculiar/x509')
}

async function makeRoot(domain: string, nowMs: number): Promise<{ certPem: string; keyPem: string }> {
  const x509 = await library()
  const keys = await crypto.subtle.generateKey(P256, true, ['sign', 'verify'])
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: [{ CN: [`${domain} (Pintail network)`.slice(0, 64)] }],
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter: new Date(nowMs + ROOT_DAYS * DAY_MS),
    keys,
    signingAlgorithm: P256,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.Extension(NAME_CONSTRAINTS, true, constraintsFor(domain)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    certPem: `${root.toString('pem').trim()}\n`,
    keyPem: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY').trim()}\n`,
  }
}

/** The domain and names below it; no address at all. */
function constraintsFor(domain: string): Uint8Array<ArrayBuffer> {
  const DNS = 2
  const ADDRESS = 7
  const everyV4 = new Uint8Array(8) // address and mask
  const everyV6 = new Uint8Array(32)
  const permitted = der.sequence(der.raw(DNS, utf8(domain)))
  const excluded = [everyV4, everyV6].map((every) => der.sequence(der.raw(ADDRESS, every)))
  return copyOf(der.sequence(der.tagged(0, permitted), der.tagged(1, ...excluded)))
}

/** The library refuses by throwing. */
function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}

/** Positive and of full length. */
function randomSerial(): string {
  const serial = crypto.getRandomValues(new Uint8Array(16))
  serial[0] = (serial[0]! & 0x7f) | 0x40
  return Buffer.from(serial).toString('hex')
}

function read<T>(path: string, parse: (text: string) => T): T {
  try {
    return parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new Error(`${path} cannot be used: ${(error as Error).message}`, { cause: error })
  }
}
