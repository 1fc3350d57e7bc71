/** Certificates from the network's own authority. Ours alone; other servers do not know it. [docs/rules/certificates.md] */
import type { NodeKeyText } from '../ids.ts'

/** A machine that carries this capability may ask; its value is {@link CertificateAuthority}. */
export const CERTIFICATE_CAPABILITY = 'pintail/certificates'

export interface CertificateAuthority {
  /** PEM. Vouches for names of this network alone. */
  Root: string
}

/** `POST /machine/pintail/certificate`, inside the encrypted connection. The certificate is for the machine's own name. */
export interface CertificateRequest {
  NodeKey: NodeKeyText
  /** PKCS #10, DER, base64. */
  Request: string
}

export interface CertificateReply {
  /** PEM: the certificate alone, for the root is known. */
  Certificate: string
}
