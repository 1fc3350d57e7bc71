/**
 * This machine's certificate from the network's own authority: asked for when it is needed, kept in a folder, renewed after
 * two thirds of its life while the old one goes on serving. [docs/rules/certificates.md CRT-3]
 */
import { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { CERTIFICATE_CAPABILITY } from '../../../src-contract/control/certificates.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { isJsonObject } from '../../../src-protocol/wire/json.ts'
import type { CertificateFolder, KeptPair } from '../../io/certificates/folder.ts'
import type { KeyAndRequest } from '../../io/certificates/key-and-request.ts'
import { errorText, type Log } from '../../io/log/log.ts'

export interface CertificatesOptions {
  readonly folder: CertificateFolder
  readonly makeKeyAndRequest: (name: string) => Promise<KeyAndRequest>
  readonly wallMs: () => number
  readonly log: Log
}

/** Asks the coordination server; answers PEM. */
export type AskForCertificate = (request: Uint8Array) => Promise<string>

/** A sentence for whoever wanted one. */
export class NoCertificateError extends Error {
  override readonly name = 'NoCertificateError'
}

interface Authority {
  readonly name: string
  readonly rootPem: string
  readonly root: X509Certificate
}

/** After a failed renewal; the old certificate has a third of its life left. */
const RETRY_MS = 3_600_000

export class Certificates {
  readonly #o: CertificatesOptions
  /** Set by whoever has the connection. */
  ask: AskForCertificate = () => Promise.reject(new NoCertificateError('not connected to a network'))
  #authority: Authority | undefined
  #issuing: Promise<KeptPair> | undefined
  #pair: KeptPair | undefined
  #context: SecureContext | undefined
  #retryAtMs = 0

  constructor(options: CertificatesOptions) {
    this.#o = options
  }

  configure(netmap: Netmap | undefined): void {
    const next = netmap === undefined ? undefined : authorityOf(netmap)
    const before = this.#authority
    if (next?.name === before?.name && next?.rootPem === before?.rootPem) return
    this.#authority = next
    this.#pair = undefined
    this.#context = undefined
    this.#retryAtMs = 0
  }

  /** undefined = this network issues none. */
  get authority(): { readonly name: string; readonly rootPem: string } | undefined {
    return this.#authority
  }

  /** For TLS: who asks for another name than ours gets none. */
  async contextFor(name: string): Promise<SecureContext> {
    const pair = await this.pair(name.toLowerCase(), 0)
    if (this.#context === undefined || pair !== this.#pair)
      this.#context = createSecureContext({ ...pair, minVersion: 'TLSv1.2' })
    this.#pair = pair
    return this.#context
  }

  /** One that holds for at least `minValidityMs`. Throws {@link NoCertificateError}. */
  async pair(name: string, minValidityMs: number): Promise<KeptPair> {
    const authority = this.#authority
    if (authority === undefined) throw new NoCertificateError('this network issues no certificates')
    if (name !== authority.name)
      throw new NoCertificateError(
        `invalid domain ${JSON.stringify(name)}; must be one of [${JSON.stringify(authority.name)}]`,
      )
    const kept = this.#pair ?? (await this.#load(authority))
    const left = kept === undefined ? undefined : lifeOf(kept.cert, this.#o.wallMs())
    if (kept === undefined || left === undefined || left.ms <= minValidityMs) return this.#issue(authority)
    this.#pair = kept
    if (left.isDue && this.#o.wallMs() >= this.#retryAtMs) {
      this.#issue(authority).catch((error: unknown) => {
        this.#retryAtMs = this.#o.wallMs() + RETRY_MS
        this.#o.log.warn('certificate-not-renewed', { name, reason: errorText(error) })
      })
    }
    return kept
  }

  #issue(authority: Authority): Promise<KeptPair> {
    this.#issuing ??= this.#obtain(authority).finally(() => {
      this.#issuing = undefined
    })
    return this.#issuing
  }

  async #obtain(authority: Authority): Promise<KeptPair> {
    const { keyPem, request } = await this.#o.makeKeyAndRequest(authority.name)
    const cert = await this.ask(request)
    const pair = { cert, key: keyPem }
    if (!isGood(pair, authority))
      throw new NoCertificateError('the server answered with a certificate that is not ours')
    await this.#o.folder.save(authority.name, pair)
    if (this.#authority === authority) {
      this.#pair = pair
      this.#context = undefined
    }
    this.#o.log.info('certificate', { name: authority.name, until: new X509Certificate(cert).validTo })
    return pair
  }

  /** What cannot be used any more is as good as none. */
  async #load(authority: Authority): Promise<KeptPair | undefined> {
    const kept = await this.#o.folder.load(authority.name)
    return kept !== undefined && isGood(kept, authority) ? kept : undefined
  }
}

function authorityOf({ self }: Netmap): Authority | undefined {
  const value = self.CapMap?.[CERTIFICATE_CAPABILITY]?.[0]
  if (!isJsonObject(value) || typeof value.Root !== 'string') return undefined
  const root = parse(value.Root)
  return root?.ca === true ? { name: self.Name.replace(/\.$/, '').toLowerCase(), rootPem: value.Root, root } : undefined
}

function isGood({ cert, key }: KeptPair, { name, root }: Authority): boolean {
  const parsed = parse(cert)
  if (parsed === undefined || parsed.checkHost(name) === undefined) return false
  if (!parsed.checkIssued(root) || !parsed.verify(root.publicKey)) return false
  try {
    createSecureContext({ cert, key })
    return true
  } catch {
    return false // the key is another one's
  }
}

function lifeOf(cert: string, nowMs: number): { ms: number; isDue: boolean } | undefined {
  const parsed = parse(cert)
  if (parsed === undefined) return undefined
  const [from, to] = [parsed.validFromDate.getTime(), parsed.validToDate.getTime()]
  return { ms: to - nowMs, isDue: nowMs > from + ((to - from) * 2) / 3 }
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}
