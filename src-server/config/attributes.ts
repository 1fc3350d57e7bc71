/**
 * Node attributes that clients know, stock ones and ours. Others are refused: a mistyped one would do nothing, silently. What this
 * server decides itself (who is an exit node, who may receive files) is not among them.                     [control.md §4.11]
 */
export const NODE_ATTRIBUTES: readonly string[] = [
  // addresses and the data path
  'randomize-client-port',
  'only-tcp-443',
  'silent-disco',
  'peer-mtu-enable',
  'probe-udp-lifetime',
  'one-cgnat?v=true',
  'one-cgnat?v=false',
  'debug-always-stun',
  'debug-disable-upnp',
  'debug-no-wg-trim',
  'disable-udp-gro',
  'disable-udp-gso',
  'disable-tun-udp-gro',
  'disable-tun-tcp-gro',
  'never-gso-equal-tail',
  'https://tailscale.com/cap/bind-to-interface-by-route',
  'disable-relay-server',
  'disable-relay-client',
  // the firewall
  'disable-linux-cgnat-drop-rule',
  'linux-netfilter?v=iptables',
  'linux-netfilter?v=nftables',
  // names
  'magicdns-aaaa',
  'dns-subdomain-resolve',
  'dns-forwarder-disable-tcp-retries',
  'user-dial-routes',
  'disable-split-dns-when-no-custom-resolvers',
  'disable-local-dns-override-via-nrpt',
  'disable-hosts-file-updates',
  'force-register-magicdns-ipv4-only',
  'scope-quad100-macos',
  // exit nodes and routes
  'auto-exit-node',
  'traffic-steering',
  'debug-disable-subnets-if-pac',
  'client-side-reachability',
  'client-side-reachability-routecheck',
  // the rest
  'cache-network-maps',
  'disable-cache-network-maps',
  'disable-delta-updates',
  'disable-skip-status-queue',
  'disable-captive-portal-detection',
  'disable-web-client',
  'emit-runtime-metrics',
  'ssh-behavior-v1',
  'ssh-behavior-v2',
  'ssh-env-vars',
  'store-appc-routes',
  'drive:share',
  'drive:access',
]

/** Those that others must see on a node, too. */
export const SHOWN_TO_PEERS: readonly string[] = ['dns-subdomain-resolve']
