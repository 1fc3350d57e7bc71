/**
 * NAT and firewall behaviours of home, office and mobile routers, as nftables rule sets for a router whose interfaces are
 * `wan` and `lan`. Words as in RFC 4787: EIM/EDM = endpoint-(in)dependent mapping, EIF/ADF/APDF = filtering by nothing /
 * address / address and port.
 *
 * Protocols are numbers (1 ICMP, 17 UDP, 58 ICMPv6): their names need /etc/protocols, which a bare system lacks.
 */
export const natKinds = {
  /** The usual Linux home router: EIM + APDF. */
  apdf: 'endpoint-independent mapping, address and port filtering',
  /** EDM: a new random port for each destination; hole punching fails against another strict one. */
  symmetric: 'address and port dependent mapping',
  /** EIM + EIF for any number of inside hosts. */
  fullcone: 'endpoint-independent mapping, no filtering',
  /** EIM + ADF. */
  adf: 'endpoint-independent mapping, address filtering',
  /** A cloud's static 1:1 NAT: everything reaches the one inside host. */
  one2one: 'static one-to-one translation',
  /** A strict firewall: no UDP at all leaves. */
  noudp: 'UDP blocked',
  /** A strict firewall that lets STUN and DNS out and nothing else over UDP. */
  udp3478: 'UDP blocked except ports 53 and 3478',
  /** No translation, only a stateful firewall (IPv6, public LANs). */
  firewall: 'stateful firewall without translation',
} as const
export type NatKind = keyof typeof natKinds

/** What every consumer router has: nothing comes in unasked, the LAN may go out. */
const stateful = `
table inet guard {
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    iifname "lan" accept
    ct state established,related accept
    meta l4proto { 1, 58 } accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state invalid drop
    ct state established,related accept
    iifname "lan" accept
    ct status dnat accept
    meta l4proto 58 accept
  }
}
`

const translate = (flags: string, incoming = '') => `
table ip nat {
  chain incoming {
    type nat hook prerouting priority dstnat;
    ${incoming}
  }
  chain outgoing {
    type nat hook postrouting priority srcnat;
    oifname "wan" masquerade ${flags}
  }
}
`

/**
 * A cone NAT for many inside hosts. Connection tracking alone filters by address and port, so the mapping that the first
 * outgoing datagram got is remembered in two sets: where strangers' datagrams go (`inside`), and which outside port an
 * inside socket owns (`outside`), which later destinations must reuse. It is learned after source NAT has chosen, so two
 * hosts with the same port never share one.
 */
const cone = (keyType: string, incomingKey: string, outgoingKey: string) => `
table ip nat {
  map inside { type ${keyType} : ipv4_addr . inet_service; flags dynamic,timeout; timeout 120s; size 65535; }
  map outside { type ipv4_addr . inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 120s; size 65535; }
  chain incoming {
    type nat hook prerouting priority dstnat;
    iifname "wan" meta l4proto 17 dnat ip to ${incomingKey}udp dport map @inside
  }
  chain outgoing {
    type nat hook postrouting priority srcnat;
    oifname "wan" meta l4proto 17 snat ip to ip saddr . udp sport map @outside
    oifname "wan" masquerade
  }
  chain remember {
    type filter hook postrouting priority srcnat + 10;
    oifname "wan" ct direction original meta l4proto 17 update @inside { ${outgoingKey}udp sport : ct original ip saddr . ct original proto-src } update @outside { ct original ip saddr . ct original proto-src : ip saddr . udp sport }
  }
}
`

const refuse = (what: string) => `
table inet refuse {
  chain forward {
    type filter hook forward priority filter - 10;
    ${what}
  }
}
`

/** The rule set of a router of this kind; `insideHost` is needed by `one2one` only. */
export function natRules(kind: NatKind, insideHost: string): string {
  switch (kind) {
    case 'apdf':
      return stateful + translate('')
    case 'symmetric':
      return stateful + translate('fully-random')
    case 'fullcone':
      return stateful + cone('inet_service', '', '')
    case 'adf':
      return stateful + cone('ipv4_addr . inet_service', 'ip saddr . ', 'ip daddr . ')
    case 'one2one':
      return stateful + translate('', `iifname "wan" dnat to ${insideHost}`)
    case 'noudp':
      return stateful + translate('') + refuse('meta l4proto 17 drop')
    case 'udp3478':
      return stateful + translate('') + refuse('iifname "lan" udp dport != { 53, 3478 } drop')
    case 'firewall':
      return stateful
  }
}
