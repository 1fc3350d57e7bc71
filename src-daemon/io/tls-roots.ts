/**
 * Whom TLS connections trust: the certificates that come with Node (and NODE_EXTRA_CA_CERTS) together with the
 * system's, where people who run their own authority install it. Reading them takes some 50 ms, so it happens once.
 */
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'

let cached: SecureContext | undefined

export function trustedRoots(): SecureContext {
  cached ??= createSecureContext({ ca: rootCertificates() })
  return cached
}

export function rootCertificates(): string[] {
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])]
}
