/** Opens the TCP and TLS sockets of the control connection, past the tunnel. */
import { isIP, type Socket } from 'node:net'
import tls from 'node:tls'
import { connectFirst } from '../past-tunnel.ts'
import { rootCertificates, trustedRoots } from '../tls-roots.ts'

export interface SocketTarget {
  readonly host: string
  readonly port: number
  readonly isTls: boolean
  /** Whether a certificate that does not verify ends the connection. */
  readonly isVerified: boolean
}

export interface SocketOpenerOptions {
  /** Trusted besides the system's: certificate authorities in PEM. */
  readonly extraCertificates?: readonly string[]
  /** Routing mark; 0 or absent: none. */
  readonly fwmark?: number
}

/** A dial has this long altogether (`dial.ts`). */
const CONNECT_MS = 10_000

export class SocketOpener {
  readonly #o: SocketOpenerOptions
  #roots: tls.SecureContext | undefined

  constructor(options: SocketOpenerOptions = {}) {
    this.#o = options
  }

  get #trusted(): tls.SecureContext {
    const { extraCertificates } = this.#o
    this.#roots ??=
      extraCertificates === undefined
        ? trustedRoots()
        : tls.createSecureContext({ ca: [...rootCertificates(), ...extraCertificates] })
    return this.#roots
  }

  /** The TCP connection stands; with TLS, `secureConnect` is still to come. */
  async open(target: SocketTarget, signal: AbortSignal): Promise<Socket> {
    const { host, port } = target
    const kind = isIP(host)
    const families = kind === 4 ? [4 as const] : kind === 6 ? [6 as const] : [4 as const, 6 as const]
    const targets = families.map((family) => ({ family, port, host }))
    const tcp = await connectFirst(targets, CONNECT_MS, { fwmark: this.#o.fwmark ?? 0, signal })
    if (!target.isTls) return tcp
    const secure = tls.connect({
      socket: tcp,
      rejectUnauthorized: target.isVerified,
      secureContext: this.#trusted,
      // an address is verified like a name, but not sent as one
      ...(kind === 0 ? { servername: host } : { host }),
    })
    tcp.on('error', (error) => secure.destroy(error))
    return secure
  }
}
