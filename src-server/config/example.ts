/** The config file that `pintail-control init` writes: each key with its default and what it is for. */

export function exampleConfig(serverUrl: string): string {
  return `# Pintail coordination server. Lines with a leading "#" show defaults.

# Where clients reach this server. With https:// either give a certificate under "tls" or put a TLS terminator in front
# that passes "POST /ts2021" upgrades. Plain http:// is meant for private addresses.
server_url: ${serverUrl}
# The relay's TLS port answers control connections too: stock clients that reconnect to a public address try port 443 only.
# listen_addr: ":8080"                # all addresses; or e.g. 192.0.2.1:8080

# tls:
#   cert_path: /etc/ssl/control.crt     # PEM, chain included
#   key_path: /etc/ssl/control.key

# Keys, the database and self-made certificates live here.
# state_dir: /var/lib/pintail-control
# database:
#   path: db.sqlite                     # default: in state_dir
# noise:
#   private_key_path: noise.key         # default: in state_dir; losing it locks every client out

# The administration socket; whoever may write to it is an administrator.
# unix_socket: /run/pintail-control/control.sock
# unix_socket_permission: "0660"

# Addresses of the nodes; these ranges or parts of them.
# prefixes:
#   v4: 100.64.0.0/10
#   v6: fd7a:115c:a1e0::/48

# node:
#   expiry: 0                           # how long a login lasts, e.g. 180d; 0 = for ever. Tagged nodes never expire
#   offline_after: 10s                  # how long a node may be away before others see it offline
#   ephemeral:
#     inactivity_timeout: 30m           # ephemeral nodes are deleted after this time offline
# preauth_keys:
#   expiration: 1h                      # default of "preauthkeys create"

# dns:
#   magic_dns: true
#   base_domain: pintail.internal       # must not contain the host of server_url
#   override_local_dns: false           # true: the global servers replace the ones of each computer
#   nameservers:
#     global: []                        # e.g. [9.9.9.9, "[2620:fe::fe]:53", https://dns.quad9.net/dns-query]
#     fallback: []                      # asked only where a computer has no servers of its own that can be asked
#     split: {}                         # e.g. {corp.example.com: [{address: 10.0.0.53, use_with_exit_node: true}]}
#   search_domains: []
#   extra_records: []                   # e.g. [{name: wiki.pintail.internal, type: A, value: 100.64.0.3}]

# derp:
#   server:                             # the relay and STUN server inside this process
#     enabled: true
#     region_id: 999
#     region_code: own
#     region_name: Own relay
#     hostname: relay.example.com       # default: the host of server_url
#     ipv4: 203.0.113.5                 # default: looked up from hostname
#     ipv6: 2001:db8::5
#     listen: ":443"                   # the same as listen_addr: one TLS port for both
#     public_port: 443                  # when a router forwards another port
#     cert_path: /etc/ssl/relay.crt     # without: self-made, and clients are told its fingerprint
#     key_path: /etc/ssl/relay.key
#     stun_listen: ":3478"              # UDP
#     stun_public_port: 3478
#     verify_clients: true              # only nodes of this server may use the relay
#   regions: []                         # further relays: {region_id, region_code, region_name, nodes: [{name, hostname, derp_port, stun_port, ...}]}
#   paths: []                           # files with such a list

# auto_approve:                        # whose routes need no administrator: tag:NAME, a user, or node:NAME as named by you
#   routes: {}                         # e.g. {10.0.0.0/8: ["tag:router", alice]}
#   exit_node: []                      # e.g. ["tag:exit"]
# node_attributes: []                  # e.g. [{target: ["*"], attr: [magicdns-aaaa]}, {target: ["tag:server"], attr: [randomize-client-port]}]
# certificates:                        # the network's own authority (ca.crt, ca.key in state_dir); machines ask it for their names
#   enabled: true
# taildrop:
#   enabled: true
# log:
#   level: info                         # debug, info, warn, error
#   format: text                        # or json
`
}
