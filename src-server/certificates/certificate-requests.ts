/** `POST /machine/pintail/certificate`: a machine asks for a certificate for its own name. [docs/rules/certificates.md CRT-2] */
import type { CertificateReply } from '../../src-contract/control/certificates.ts'
import type { MachineKeyText } from '../../src-contract/ids.ts'
import { type Bytes, parseBase64 } from '../../src-protocol/wire/bytes.ts'
import { isJsonObject, parseJson } from '../../src-protocol/wire/json.ts'
import { parseUtf8 } from '../../src-protocol/wire/text.ts'
import { isExpired, type NodeRecord } from '../registry/model.ts'
import type { Registry } from '../registry/registry.ts'
import type { PrivateCa } from './private-ca.ts'

/** A machine needs one in 20 days; more hints at a loop. */
const MAX_A_DAY = 50
const DAY_MS = 86_400_000

export type CertificateAnswer =
  | { readonly status: 200; readonly body: CertificateReply }
  | { readonly status: 400 | 403 | 404 | 429; readonly text: string }

export interface CertificateRequestsOptions {
  readonly ca: PrivateCa
  readonly registry: Registry
  /** Without a final dot. */
  readonly nameOf: (node: NodeRecord) => string
  readonly now: () => number
  readonly onIssue: (node: NodeRecord, name: string) => void
}

export class CertificateRequests {
  readonly #o: CertificateRequestsOptions
  readonly #issued = new Map<number, number[]>()

  constructor(options: CertificateRequestsOptions) {
    this.#o = options
  }

  async answer(machineKey: MachineKeyText, body: Uint8Array): Promise<CertificateAnswer> {
    const asked = parse(body)
    if (asked === undefined) return { status: 400, text: 'that is no request for a certificate' }
    const node = this.#o.registry.nodeByKey(asked.nodeKey)
    if (node === undefined || node.machineKey !== machineKey) return { status: 404, text: 'node not found' }
    const now = this.#o.now()
    if (isExpired(node, now)) return { status: 403, text: 'the key of this node has expired; sign in again' }
    const recent = (this.#issued.get(node.id) ?? []).filter((at) => at > now - DAY_MS)
    if (recent.length >= MAX_A_DAY) return { status: 429, text: `${MAX_A_DAY} certificates a day are enough` }
    this.#issued.set(node.id, [...recent, now])
    const name = this.#o.nameOf(node)
    const certificate = await this.#o.ca.issue(asked.csr, name)
    if (!certificate.ok) return { status: 400, text: certificate.reason }
    this.#o.onIssue(node, name)
    return { status: 200, body: { Certificate: certificate.value } }
  }
}

function parse(body: Uint8Array): { nodeKey: NodeRecord['nodeKey']; csr: Bytes } | undefined {
  const text = parseUtf8(body)
  const json = text.ok ? parseJson(text.value) : text
  if (!json.ok || !isJsonObject(json.value)) return undefined
  const { NodeKey, Request: request } = json.value
  const csr = typeof request === 'string' ? parseBase64(request) : undefined
  if (typeof NodeKey !== 'string' || csr === undefined || !csr.ok) return undefined
  return { nodeKey: NodeKey as NodeRecord['nodeKey'], csr: csr.value }
}
