/**
 * The preferences that have a flag: one row each for `up`, `set`, `login` and `get`. A row says which prefs it touches,
 * how its value is read from prefs (as the flag would be written) and how a typed value changes them.
 */
import type { MaskedPrefs, Prefs } from '../../src-contract/localapi/prefs.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import { hostnameProblem, parseIpPort } from '../text/address.ts'
import { CommandError, type FlagSpec } from '../verb.ts'
import { chooseExitNode, exitNodeText } from './exit-node-choice.ts'
import { advertisesExitNode, parseRoutes, subnetRoutes, withExitRoutes } from './routes.ts'
import { parseTags } from './tags.ts'

/** A member of `MaskedPrefs` that ends in `Set`. */
export type SetBit = Extract<keyof MaskedPrefs, `${string}Set`>

export interface PrefFlag {
  readonly spec: FlagSpec
  /** Who has it. */
  readonly in: readonly ('up' | 'set')[]
  readonly sets: readonly SetBit[]
  /** `true`/`false` for switches, the flag's text otherwise. */
  read(prefs: Prefs, status: Status): string
  /** Changes `prefs`. */
  write(prefs: Prefs, value: string, status: Status): void
}

export const DEFAULT_CONTROL_URL = 'https://controlplane.tailscale.com'
const NETFILTER_MODES = ['off', 'nodivert', 'on']

const BOTH = ['up', 'set'] as const

function toggle(
  name: string,
  help: string,
  bit: SetBit,
  standard: boolean,
  read: (prefs: Prefs) => boolean,
  write: (prefs: Prefs, on: boolean) => void,
  where: PrefFlag['in'] = BOTH,
): PrefFlag {
  return {
    spec: { name, kind: 'bool', help, default: standard },
    in: where,
    sets: [bit],
    read: (prefs) => String(read(prefs)),
    write: (prefs, value) => write(prefs, value === 'true'),
  }
}

function text(
  name: string,
  help: string,
  bits: readonly SetBit[],
  read: PrefFlag['read'],
  write: PrefFlag['write'],
  more: { where?: PrefFlag['in']; standard?: string } = {},
): PrefFlag {
  return {
    spec: { name, kind: 'text', help, default: more.standard ?? '' },
    in: more.where ?? BOTH,
    sets: bits,
    read,
    write,
  }
}

export const prefFlags: readonly PrefFlag[] = [
  toggle(
    'accept-dns',
    'accept DNS configuration from the network',
    'CorpDNSSet',
    true,
    (p) => p.CorpDNS,
    (p, on) => {
      p.CorpDNS = on
    },
  ),
  toggle(
    'accept-routes',
    'accept routes advertised by other nodes',
    'RouteAllSet',
    false,
    (p) => p.RouteAll,
    (p, on) => {
      p.RouteAll = on
    },
  ),
  toggle(
    'advertise-connector',
    'offer to be an app connector for the network',
    'AppConnectorSet',
    false,
    (p) => p.AppConnector?.Advertise === true,
    (p, on) => {
      p.AppConnector = { Advertise: on }
    },
  ),
  toggle(
    'advertise-exit-node',
    'offer to be an exit node for internet traffic of the network',
    'AdvertiseRoutesSet',
    false,
    (p) => advertisesExitNode(p.AdvertiseRoutes),
    (p, on) => {
      p.AdvertiseRoutes = withExitRoutes(p.AdvertiseRoutes, on)
    },
  ),
  text(
    'advertise-routes',
    'routes to offer to other nodes (comma-separated, e.g. "10.0.0.0/8,192.168.0.0/24"), or empty for none',
    ['AdvertiseRoutesSet'],
    (p) => subnetRoutes(p.AdvertiseRoutes).join(','),
    (p, value) => {
      const routes = parseRoutes(value)
      p.AdvertiseRoutes = withExitRoutes(routes, advertisesExitNode(p.AdvertiseRoutes) || advertisesExitNode(routes))
    },
  ),
  text(
    'advertise-tags',
    'comma-separated tags to ask for (e.g. "tag:eng,tag:ssh"); the "tag:" may be left out',
    ['AdvertiseTagsSet'],
    (p) => (p.AdvertiseTags ?? []).join(','),
    (p, value) => {
      p.AdvertiseTags = parseTags(value)
    },
    { where: ['up'] },
  ),
  toggle(
    'auto-update',
    'update to the latest version without asking',
    'AutoUpdateSet',
    false,
    (p) => p.AutoUpdate?.Apply === true,
    (p, on) => {
      p.AutoUpdate = { ...p.AutoUpdate, Apply: on }
    },
    ['set'],
  ),
  text(
    'exit-node',
    'exit node for internet traffic (IP, base name, or auto:any), or empty for none',
    ['ExitNodeIDSet', 'ExitNodeIPSet'],
    exitNodeText,
    chooseExitNode,
  ),
  toggle(
    'exit-node-allow-lan-access',
    'allow direct access to the local network while traffic goes through an exit node',
    'ExitNodeAllowLANAccessSet',
    false,
    (p) => p.ExitNodeAllowLANAccess,
    (p, on) => {
      p.ExitNodeAllowLANAccess = on
    },
  ),
  text(
    'hostname',
    "name to use instead of the operating system's",
    ['HostnameSet'],
    (p) => p.Hostname,
    (p, value) => {
      p.Hostname = value
    },
  ),
  text(
    'login-server',
    'base URL of the coordination server',
    ['ControlURLSet'],
    (p) => p.ControlURL || DEFAULT_CONTROL_URL,
    (p, value) => {
      p.ControlURL = value
    },
    { where: ['up'], standard: DEFAULT_CONTROL_URL },
  ),
  text(
    'netfilter-mode',
    'firewall handling (one of on, nodivert, off)',
    ['NetfilterModeSet'],
    (p) => NETFILTER_MODES[p.NetfilterMode] ?? '',
    (p, value) => {
      const mode = NETFILTER_MODES.indexOf(value)
      if (mode < 0) throw new CommandError(`invalid value --netfilter-mode=${JSON.stringify(value)}`)
      p.NetfilterMode = mode
    },
    { standard: 'on' },
  ),
  text(
    'nickname',
    'short name for the account',
    ['ProfileNameSet'],
    (p) => p.ProfileName ?? '',
    (p, value) => {
      p.ProfileName = value
    },
    { where: ['set'] },
  ),
  text(
    'operator',
    'Unix user who may operate pintaild without sudo',
    ['OperatorUserSet'],
    (p) => p.OperatorUser ?? '',
    (p, value) => {
      p.OperatorUser = value
    },
  ),
  text(
    'relay-server-port',
    'UDP port of the relay server (0 = a random one), or empty to switch it off',
    ['RelayServerPortSet'],
    (p) => (p.RelayServerPort === undefined || p.RelayServerPort === null ? '' : String(p.RelayServerPort)),
    (p, value) => {
      const port = value === '' ? null : Number(value)
      if (port !== null && (!/^\d+$/.test(value) || port > 65535))
        throw new CommandError(`failed to set relay server port: ${JSON.stringify(value)} is not a port number`)
      p.RelayServerPort = port
    },
    { where: ['set'] },
  ),
  text(
    'relay-server-static-endpoints',
    'IP:port addresses to offer for relay connections (comma-separated), or empty for none',
    ['RelayServerStaticEndpointsSet'],
    (p) => (p.RelayServerStaticEndpoints ?? []).join(','),
    (p, value) => {
      const endpoints = value === '' ? [] : value.split(',')
      p.RelayServerStaticEndpoints = endpoints.map((endpoint) => {
        const parsed = parseIpPort(endpoint)
        if (parsed !== undefined) return parsed as NonNullable<Prefs['RelayServerStaticEndpoints']>[number]
        const quoted = JSON.stringify(endpoint)
        throw new CommandError(`failed to set relay server static endpoints: ${quoted} is not a valid IP:port`)
      })
    },
    { where: ['set'] },
  ),
  toggle(
    'report-posture',
    "allow the network's management to gather device posture",
    'PostureCheckingSet',
    false,
    (p) => p.PostureChecking,
    (p, on) => {
      p.PostureChecking = on
    },
  ),
  toggle(
    'shields-up',
    "don't allow incoming connections",
    'ShieldsUpSet',
    false,
    (p) => p.ShieldsUp,
    (p, on) => {
      p.ShieldsUp = on
    },
  ),
  toggle(
    'snat-subnet-routes',
    'source NAT traffic to the routes offered with --advertise-routes',
    'NoSNATSet',
    true,
    (p) => !p.NoSNAT,
    (p, on) => {
      p.NoSNAT = !on
    },
  ),
  toggle(
    'ssh',
    'run an SSH server, with access as the network allows',
    'RunSSHSet',
    false,
    (p) => p.RunSSH,
    (p, on) => {
      p.RunSSH = on
    },
  ),
  toggle(
    'stateful-filtering',
    'apply stateful filtering to forwarded packets',
    'NoStatefulFilteringSet',
    false,
    (p) => p.NoStatefulFiltering === false,
    (p, on) => {
      p.NoStatefulFiltering = !on
    },
  ),
  toggle(
    'update-check',
    'tell about available updates',
    'AutoUpdateSet',
    true,
    (p) => p.AutoUpdate?.Check === true,
    (p, on) => {
      p.AutoUpdate = { ...p.AutoUpdate, Check: on }
    },
    ['set'],
  ),
  toggle(
    'webclient',
    'offer the web interface of this node to the network at port 5252',
    'RunWebClientSet',
    false,
    (p) => p.RunWebClient,
    (p, on) => {
      p.RunWebClient = on
    },
    ['set'],
  ),
]

export const upPrefFlags = prefFlags.filter((flag) => flag.in.includes('up'))
export const setPrefFlags = prefFlags.filter((flag) => flag.in.includes('set'))

/** What must hold whatever flag it came from. */
export function checkTypedPrefs(prefs: Prefs, given: (name: string) => boolean): void {
  const problem = given('hostname') && prefs.Hostname !== '' ? hostnameProblem(prefs.Hostname) : undefined
  if (problem !== undefined) throw new CommandError(problem)
}

export function netfilterWarning(prefs: Prefs): string | undefined {
  switch (NETFILTER_MODES[prefs.NetfilterMode]) {
    case 'nodivert':
      return 'netfilter=nodivert; add iptables calls to ts-* chains manually.'
    case 'off':
      return 'netfilter=off; configure iptables yourself.'
    default:
      return undefined
  }
}

/** A PATCH body for these flags. */
export function maskFor(flags: readonly PrefFlag[], prefs: Prefs): MaskedPrefs {
  const masked: Record<string, unknown> = {}
  for (const { spec, sets } of flags) {
    for (const bit of sets) {
      const name = bit.slice(0, -'Set'.length) as keyof Prefs
      masked[name] = prefs[name]
      if (bit !== 'AutoUpdateSet') masked[bit] = true
    }
    if (spec.name === 'auto-update' || spec.name === 'update-check') {
      const part = spec.name === 'auto-update' ? { ApplySet: true } : { CheckSet: true }
      masked.AutoUpdateSet = { ...(masked.AutoUpdateSet as object | undefined), ...part }
    }
    if (spec.name === 'exit-node' && prefs.AutoExitNode !== undefined) {
      masked.AutoExitNode = prefs.AutoExitNode
      masked.AutoExitNodeSet = true
    }
  }
  return masked as MaskedPrefs
}
