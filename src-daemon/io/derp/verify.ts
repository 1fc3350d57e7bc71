/** Whether a relay's certificate is the one we expect.                                                  [derp.md §2.2] */
import { createHash, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { DerpNode } from '../../../src-contract/control/map.ts'

const PIN = /^sha256-raw:([0-9a-f]{64})$/

/** How the TLS connection to a node must be checked. */
export type Trust =
  /** By the usual roots, for this name. */
  | { readonly kind: 'roots'; readonly name: string }
  /** Exactly this certificate. */
  | { readonly kind: 'pin'; readonly sha256: string }
  /** Not at all: the map says so, for tests. */
  | { readonly kind: 'none' }

export function trustOf(node: DerpNode): Trust {
  const pin = PIN.exec(node.CertName ?? '')?.[1]
  if (pin !== undefined) return { kind: 'pin', sha256: pin }
  if (node.InsecureForTests) return { kind: 'none' }
  return { kind: 'roots', name: node.CertName || node.HostName }
}

/** undefined when the pinned certificate is the presented one, valid now, and names the host; else why not. */
export function pinProblem(raw: Uint8Array, sha256: string, hostName: string, nowMs: number): string | undefined {
  if (createHash('sha256').update(raw).digest('hex') !== sha256) return 'another certificate than the pinned one'
  const certificate = new X509Certificate(raw)
  if (nowMs < certificate.validFromDate.getTime()) return 'the pinned certificate is not valid yet'
  if (nowMs > certificate.validToDate.getTime()) return 'the pinned certificate has expired'
  const names = isIP(hostName) === 0 ? certificate.checkHost(hostName) : certificate.checkIP(hostName)
  return names === undefined ? `the pinned certificate does not name ${hostName}` : undefined
}
