/** What this node tells the coordination server about itself. [control.md §3.6] */
import { readFileSync } from 'node:fs'
import { arch, hostname, machine, release } from 'node:os'
import type { Hostinfo, NetInfo, Service } from '../../src-contract/control/map.ts'
import type { Prefs } from '../../src-contract/localapi/prefs.ts'
import { UNRESOLVED_AUTO } from './routing/exit-choice.ts'

export interface HostFacts {
  readonly hostName: string
  readonly osVersion: string
  readonly distro: string
  readonly distroVersion: string
  readonly distroCodeName: string
  readonly machine: string
  readonly goArch: string
}

export function readHostFacts(): HostFacts {
  const distro = parseOsRelease(readOsRelease())
  return {
    hostName: hostname(),
    osVersion: release(),
    distro: distro.get('ID') ?? '',
    distroVersion: distro.get('VERSION_ID') ?? '',
    distroCodeName: distro.get('VERSION_CODENAME') ?? '',
    machine: machine(),
    goArch: goArchOf(arch()),
  }
}

export interface HostinfoInputs {
  readonly version: string
  readonly backendLogId: string
  readonly facts: HostFacts
  readonly prefs: Prefs
  readonly netInfo: NetInfo | undefined
  readonly hasTun: boolean
  /** What peers may use of ours. */
  readonly services: readonly Service[]
}

export function buildHostinfo(inputs: HostinfoInputs): Hostinfo {
  const { facts, prefs } = inputs
  return {
    IPNVersion: inputs.version,
    BackendLogID: inputs.backendLogId,
    OS: 'linux',
    OSVersion: facts.osVersion,
    Distro: facts.distro,
    DistroVersion: facts.distroVersion,
    DistroCodeName: facts.distroCodeName,
    Userspace: !inputs.hasTun,
    UserspaceRouter: false,
    Machine: facts.machine,
    GoArch: facts.goArch,
    Hostname: hostNameOf(facts, prefs),
    NoLogsNoSupport: true,
    ...(prefs.ShieldsUp ? { ShieldsUp: true } : {}),
    ...(prefs.AdvertiseRoutes?.length ? { RoutableIPs: [...new Set(prefs.AdvertiseRoutes)].sort() } : {}),
    ...(prefs.AdvertiseTags?.length ? { RequestTags: prefs.AdvertiseTags } : {}),
    ...(prefs.ExitNodeID === '' || prefs.ExitNodeID === UNRESOLVED_AUTO ? {} : { ExitNodeID: prefs.ExitNodeID }),
    ...(inputs.services.length === 0 ? {} : { Services: [...inputs.services] }),
    ...(inputs.netInfo === undefined ? {} : { NetInfo: inputs.netInfo }),
  }
}

export function hostNameOf(facts: HostFacts, prefs: Prefs): string {
  return prefs.Hostname !== '' ? prefs.Hostname : facts.hostName
}

function goArchOf(nodeArch: string): string {
  switch (nodeArch) {
    case 'x64':
      return 'amd64'
    case 'ia32':
      return '386'
    default:
      return nodeArch
  }
}

/** Absent in minimal containers. */
function readOsRelease(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8')
  } catch {
    return ''
  }
}

export function parseOsRelease(text: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of text.split('\n')) {
    const match = /^([A-Z_]+)=(?:"([^"]*)"|(\S*))$/.exec(line.trim())
    if (match?.[1] !== undefined) found.set(match[1], match[2] ?? match[3] ?? '')
  }
  return found
}
