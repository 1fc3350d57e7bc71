/** Opens the TCP and TLS sockets of the control connection. Sockets that must bypass the tunnel come from `connect`. */
import net, { isIP } from 'node:net'
import tls from 'node:tls'
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
  /** Opens the TCP connection; `net.connect` by default. */
  readonly connect?: (options: { host: string; port: number }) => net.Socket
}

const KEEP_ALIVE_MS = 30_000

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

  /** Answers at once; the socket tells of its success with `connect` or `secureConnect`. */
  open(target: SocketTarget): net.Socket {
    const { host, port } = target
    const tcp = this.#o.connect?.({ host, port }) ?? net.connect({ host, port })
    tcp.setNoDelay(true)
    tcp.setKeepAlive(true, KEEP_ALIVE_MS)
    if (!target.isTls) return tcp
    const secure = tls.connect({
      socket: tcp,
      rejectUnauthorized: target.isVerified,
      secureContext: this.#trusted,
      // an address is verified like a name, but not sent as one
      ...(isIP(host) === 0 ? { servername: host } : { host }),
    })
    tcp.on('error', (error) => secure.destroy(error))
    return secure
  }
}
