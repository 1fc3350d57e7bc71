/** Interfaces that a program made, to carry packets elsewhere. Pure. */
const KINDS = new Set(['tun', 'wireguard', 'ppp', 'ipip', 'sit', 'gre', 'vti', 'vti6', 'xfrm', 'ip6tnl', 'l2tp'])
/** As well known VPN clients name theirs, whatever their kind. */
const NAMES = /^(wt|wg|tun|tap|ppp|zt|nebula|utun|ipsec|cscotun|gpd|vpn|nordlynx|proton)/

export function looksLikeTunnel(name: string, kind: string): boolean {
  return NAMES.test(name) || KINDS.has(kind)
}
