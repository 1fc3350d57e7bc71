/** What the LocalAPI says about names. [docs/rules/localapi.md LA-7] */

/** `GET dns-osconfig`: what the system uses without us; names without final dots. */
export interface OsDnsReply {
  Nameservers: string[]
  SearchDomains: string[]
  MatchDomains: string[]
}

/** `GET dns-query?name=&type=` */
export interface DnsQueryReply {
  /** The reply as on the wire, in base64. */
  Bytes: string
  /** Whom the name is asked at; empty: answered here. */
  Resolvers: { Addr: string; BootstrapResolution?: string[] }[]
}

/** `GET pintail/dns`: how names are resolved on this host, and by whom. */
export interface DnsReport {
  /** How the system is told. */
  mode: string
  /** Why that way. */
  why: string
  canSplit: boolean
  /** Names of machines and extra records that are known. */
  names: number
  localDomains: string[]
  /** Suffix → servers. */
  routes: { [suffix: string]: string[] }
  defaults: string[]
  /** Whether programs of this system ask us, tried from time to time with a name of its own. */
  systemVerdict: 'unknown' | 'asks us' | 'asks others'
  /** Questions since the daemon started, by how they ended. */
  counters: { own: number; browsers: number; cached: number; forwarded: number; failed: number; malformed: number }
}
