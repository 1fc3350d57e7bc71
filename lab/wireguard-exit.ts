/**
 * A provider's gateway: a plain WireGuard device behind which the world is, and which no member of the network registered.
 * It knows the laptop by a key and by an address of its own choice.
 */
import type { Node } from '../src-contract/control/map.ts'
import type { IpPort, NodeKeyText } from '../src-contract/ids.ts'
import type { Daemon } from './daemon.ts'
import type { PublicHost } from './internet.ts'
import { createKeys, PlainWireGuard } from './plain-wireguard.ts'

/** How the gateway knows the laptop. */
export const KNOWN_AS = { v4: '10.64.0.5', v6: 'fc00:bbbb::5' }
/** Inside the gateway's tunnel; its name server is there. */
export const GATEWAY_INSIDE = '10.64.0.1'
const PORT = 51_820

export interface Place {
  readonly country: string
  readonly countryCode: string
  readonly city: string
  readonly cityCode: string
  readonly latitude: number
  readonly longitude: number
  readonly priority: number
}

export interface WireGuardExit extends PublicHost {
  readonly name: string
  readonly device: PlainWireGuard
  /** As the coordination server tells it to the laptop. */
  readonly node: Node
}

export async function openWireGuardExit(
  machine: PublicHost,
  options: {
    readonly name: string
    readonly number: number
    readonly place: Place
    readonly kind: 'ours' | 'stock'
    readonly client: Daemon
  },
): Promise<WireGuardExit> {
  const { name, number, place, kind, client } = options
  const { host, address } = machine
  await host.must('sysctl', ['-qw', 'net.ipv4.ip_forward=1'])
  const device = await PlainWireGuard.start(host, name, kind)
  const keys = await createKeys()
  const { Self } = await client.status()
  const clientKey = Buffer.from(Self.PublicKey.replace(/^nodekey:/, ''), 'hex').toString('base64')
  await device.set('private-key', device.keyFile(keys.privateKey), 'listen-port', String(PORT))
  await device.set('peer', clientKey, 'allowed-ips', `${KNOWN_AS.v4}/32,${KNOWN_AS.v6}/128`)
  await device.address(`${GATEWAY_INSIDE}/24`)
  await host.must('nft', ['-f', '-'], { input: gatewayRules(name) })
  const id = 9_000 + number
  const addresses = [`100.90.0.${number}/32`, `fd7a:115c:a1e0::90:${number}/128`]
  const node: Node = {
    ID: id,
    StableID: `wg${id}`,
    Name: `${name}.mullvad.ts.net.`,
    User: 1,
    Key: `nodekey:${Buffer.from(keys.publicKey, 'base64').toString('hex')}` as NodeKeyText,
    Addresses: addresses,
    AllowedIPs: [...addresses, '0.0.0.0/0', '::/0'],
    Endpoints: [`${address}:${PORT}` as IpPort],
    Hostinfo: {
      Hostname: name,
      Location: {
        Country: place.country,
        CountryCode: place.countryCode,
        City: place.city,
        CityCode: place.cityCode,
        Latitude: place.latitude,
        Longitude: place.longitude,
        Priority: place.priority,
      },
    },
    Online: true,
    MachineAuthorized: true,
    CapMap: { 'suggest-exit-node': [] },
    IsWireGuardOnly: true,
    IsJailed: true,
    SelfNodeV4MasqAddrForThisPeer: KNOWN_AS.v4,
    SelfNodeV6MasqAddrForThisPeer: KNOWN_AS.v6,
    ExitNodeDNSResolvers: [{ Addr: GATEWAY_INSIDE }],
  }
  return { ...machine, name, device, node }
}

/** Masquerades, and counts whom it hears in the tunnel. */
const gatewayRules = (device: string): string => `
table inet gateway {
  counter known { }
  counter unknown { }
  chain pre {
    type filter hook prerouting priority raw;
    iifname "${device}" ip saddr ${KNOWN_AS.v4} counter name known
    iifname "${device}" ip saddr != ${KNOWN_AS.v4} counter name unknown
  }
  chain post {
    type nat hook postrouting priority srcnat;
    oifname "eth0" masquerade
  }
}
`
