/**
 * The addresses at which peers may reach this node, in the order and with the types that control expects. Pure.
 * [disco.md §7] Not their discovery (`self-discovery.ts`).
 */
import { type EndpointType, endpointType } from '../../src-contract/control/map.ts'
import type { IpPort, Ms } from '../../src-contract/ids.ts'
import { toHex } from '../../src-protocol/wire/bytes.ts'
import {
  ipBytes,
  ipPort,
  isLinkLocal,
  isLoopback,
  isTailscaleIp,
  parseIp,
  splitIpPort,
} from '../../src-protocol/wire/ip.ts'
import type { HostNetwork } from '../io/netmon/port.ts'

export interface Endpoint {
  readonly address: IpPort
  readonly type: EndpointType
}

export interface StunFindings {
  readonly v4: readonly IpPort[]
  readonly v6: readonly IpPort[]
  readonly mappingVariesByDestination: boolean
}

export interface EndpointInputs {
  readonly network: HostNetwork
  readonly udpPorts: { readonly v4: number; readonly v6: number | undefined }
  /** The port the operator asked for; 0 = any. */
  readonly fixedPort: number
  readonly stun: StunFindings
  /** What earlier rounds found by STUN and this one did not. */
  readonly remembered: readonly IpPort[]
}

const MAX_V6_PER_SUBNET = 2

export function buildOwnEndpoints(inputs: EndpointInputs): Endpoint[] {
  const list = new Map<IpPort, EndpointType>()
  const add = (address: IpPort, type: EndpointType): void => {
    if (!list.has(address)) list.set(address, type)
  }
  for (const address of [...inputs.stun.v4, ...inputs.stun.v6]) add(address, endpointType.stun)
  const [seenV4] = inputs.stun.v4
  if (inputs.stun.mappingVariesByDestination && inputs.fixedPort !== 0 && seenV4 !== undefined) {
    add(ipPort(splitIpPort(seenV4).address, inputs.fixedPort), endpointType.stunLocalPort)
  }
  for (const address of inputs.remembered) add(address, endpointType.stun)
  const local = localAddresses(inputs.network)
  const chosen = local.normal.length > 0 ? local.normal : local.second
  for (const ip of chosen) add(localEndpoint(ip, inputs.udpPorts), endpointType.local)
  if (list.size === 0) for (const ip of local.loopback) add(localEndpoint(ip, inputs.udpPorts), endpointType.local)
  return [...list].map(([address, type]) => ({ address, type }))
}

export function sameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  const key = (list: readonly Endpoint[]): string =>
    list
      .map((e) => `${e.type} ${e.address}`)
      .sort()
      .join('\n')
  return key(a) === key(b)
}

function localEndpoint(ip: string, ports: EndpointInputs['udpPorts']): IpPort {
  return ipPort(ip, ip.includes(':') ? (ports.v6 ?? ports.v4) : ports.v4)
}

/** `second`: better than nothing, but nobody beyond this link can use them. */
function localAddresses(network: HostNetwork): { normal: string[]; second: string[]; loopback: string[] } {
  const normal: string[] = []
  const second: string[] = []
  const loopback: string[] = []
  const v6PerSubnet = new Map<string, number>()
  for (const { addresses } of network.interfaces) {
    for (const { address, loopback: isLoopbackInterface } of addresses) {
      const parsed = parseIp(address)
      if (!parsed.ok || isTailscaleIp(parsed.value)) continue
      const ip = parsed.value
      if (isLoopbackInterface || isLoopback(ip)) loopback.push(address)
      else if (ip.length === 16 && isLinkLocal(ip)) continue
      else if (isLinkLocal(ip) || isUniqueLocal(ip)) second.push(address)
      else if (ip.length === 16 && !roomInSubnet(v6PerSubnet, ip)) continue
      else normal.push(address)
    }
  }
  return { normal: normal.sort(), second: second.sort(), loopback: loopback.sort() }
}

function isUniqueLocal(ip: Uint8Array): boolean {
  return ip.length === 16 && (ip[0]! & 0xfe) === 0xfc
}

function roomInSubnet(counts: Map<string, number>, ip: Uint8Array): boolean {
  const subnet = toHex(ip.subarray(0, 8))
  const count = (counts.get(subnet) ?? 0) + 1
  counts.set(subnet, count)
  return count <= MAX_V6_PER_SUBNET
}

const REMEMBER_MS = 310_000
const MAX_REMEMBERED_PER_IP = 6

/** STUN results of the last five minutes: a mapping may still be open although one round missed it. */
export class EndpointMemory {
  readonly #seen = new Map<IpPort, Ms>()

  add(addresses: readonly IpPort[], now: Ms): void {
    for (const address of addresses) {
      this.#seen.delete(address)
      this.#seen.set(address, now)
    }
  }

  /** Newest first. */
  recent(now: Ms): IpPort[] {
    const perIp = new Map<string, number>()
    const recent: IpPort[] = []
    for (const [address, at] of [...this.#seen].reverse()) {
      if (now - at > REMEMBER_MS) {
        this.#seen.delete(address)
        continue
      }
      const ip = toHex(ipBytes(splitIpPort(address).address))
      const count = (perIp.get(ip) ?? 0) + 1
      perIp.set(ip, count)
      if (count <= MAX_REMEMBERED_PER_IP) recent.push(address)
    }
    return recent
  }

  clear(): void {
    this.#seen.clear()
  }
}
