/** The relays that clients are told of: the one in this process and those of the config file.        [derp.md §10] */
import type { DerpMap, DerpNode, DerpRegion } from '../../src-contract/control/map.ts'
import { parseIp } from '../../src-protocol/wire/ip.ts'
import type { DerpRegionConfig } from '../config/schema.ts'

/** What the running relay says of itself. */
export interface OwnRelay {
  readonly regionId: number
  readonly regionCode: string
  readonly regionName: string
  readonly hostname: string
  readonly ipv4?: string | undefined
  readonly ipv6?: string | undefined
  readonly derpPort: number
  /** Undefined: no STUN here. */
  readonly stunPort: number | undefined
  /** `sha256-raw:…` when the certificate is self-made. */
  readonly certName?: string | undefined
}

export function derpMap(own: OwnRelay | undefined, configured: readonly DerpRegionConfig[]): DerpMap {
  const regions: { [id: string]: DerpRegion } = {}
  for (const region of configured) regions[String(region.region_id)] = configuredRegion(region)
  if (own !== undefined) regions[String(own.regionId)] = ownRegion(own)
  return { omitDefaultRegions: true, Regions: regions }
}

function ownRegion(own: OwnRelay): DerpRegion {
  const literal = parseIp(own.hostname)
  const isV4 = literal.ok && literal.value.length === 4
  const isV6 = literal.ok && literal.value.length === 16
  // a literal host name has no second family to look up
  const ipv4 = own.ipv4 ?? (isV4 ? own.hostname : isV6 ? 'none' : undefined)
  const ipv6 = own.ipv6 ?? (isV6 ? own.hostname : isV4 ? 'none' : undefined)
  const node: DerpNode = {
    Name: `${own.regionId}a`,
    RegionID: own.regionId,
    HostName: own.hostname,
    ...(own.certName === undefined ? {} : { CertName: own.certName }),
    ...(ipv4 === undefined ? {} : { IPv4: ipv4 }),
    ...(ipv6 === undefined ? {} : { IPv6: ipv6 }),
    ...(own.derpPort === 443 ? {} : { DERPPort: own.derpPort }),
    ...(own.stunPort === undefined ? { STUNPort: -1 } : own.stunPort === 3478 ? {} : { STUNPort: own.stunPort }),
  }
  return { RegionID: own.regionId, RegionCode: own.regionCode, RegionName: own.regionName, Nodes: [node] }
}

function configuredRegion(region: DerpRegionConfig): DerpRegion {
  return {
    RegionID: region.region_id,
    RegionCode: region.region_code,
    RegionName: region.region_name,
    ...(region.latitude === undefined ? {} : { Latitude: region.latitude }),
    ...(region.longitude === undefined ? {} : { Longitude: region.longitude }),
    ...(region.no_measure_no_home ? { NoMeasureNoHome: true } : {}),
    Nodes: region.nodes.map((node) => ({
      Name: node.name,
      RegionID: region.region_id,
      HostName: node.hostname,
      ...(node.cert_name === undefined ? {} : { CertName: node.cert_name }),
      ...(node.ipv4 === undefined ? {} : { IPv4: node.ipv4 }),
      ...(node.ipv6 === undefined ? {} : { IPv6: node.ipv6 }),
      ...(node.derp_port === undefined ? {} : { DERPPort: node.derp_port }),
      ...(node.stun_port === undefined ? {} : { STUNPort: node.stun_port }),
      ...(node.stun_only ? { STUNOnly: true } : {}),
      ...(node.can_port_80 ? { CanPort80: true } : {}),
      ...(node.insecure_for_tests ? { InsecureForTests: true } : {}),
    })),
  }
}
