/** A new key, and the request for a certificate that goes with it. [RFC 2986] */
import type { Bytes } from '../../../src-protocol/wire/bytes.ts'

export interface KeyAndRequest {
  /** PKCS #8, PEM. */
  readonly keyPem: string
  /** PKCS #10, DER. */
  readonly request: Bytes
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

export async function makeKeyAndRequest(name: string): Promise<KeyAndRequest> {
  await import('reflect-metadata') // the library below finds its parts by it
  const x509 = await import('@peculiar/x509') // ten megabytes that most daemons never need
  const keys = await crypto.subtle.generateKey(P256, true, ['sign', 'verify'])
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name.slice(0, 64)] }],
    keys,
    signingAlgorithm: P256,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  })
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    keyPem: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY').trim()}\n`,
    request: new Uint8Array(made.rawData),
  }
}
