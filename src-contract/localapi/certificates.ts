/** `GET pintail/authority`: who vouches for names of this network. Ours alone. */
export interface CertificateAuthorityReport {
  /** Name of this machine that certificates are for; "" = this network has no authority of its own. */
  Name: string
  /** PEM; "" = none. */
  Root: string
}
