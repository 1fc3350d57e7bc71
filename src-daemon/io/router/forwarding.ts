/**
 * Whether this host forwards what others send through it, and the commands that make it so: it is never switched on by
 * itself. Also for LocalAPI's `check-ip-forwarding` and `check-udp-gro-forwarding`. [docs/rules/router.md RT-15]
 */
import { access, readdir, readFile } from 'node:fs/promises'
import type { PrefixText } from '../../../src-contract/ids.ts'
import { findProgram, runProgram } from '../dns/run-program.ts'
import { defaultInterfaceV4, defaultInterfaceV6 } from '../netmon/compare.ts'
import { familyOf } from './network-state.ts'
import type { RouterWarning } from './port.ts'

export interface Advice {
  /** One sentence for a person. */
  readonly text: string
  /** Commands for root. */
  readonly fix: readonly string[]
}

/** undefined = all that is needed is on. `own`: the tunnel's interface, which needs no setting of its own. */
export async function checkForwarding(
  advertisedRoutes: readonly PrefixText[],
  own?: string,
): Promise<RouterWarning | undefined> {
  const wants4 = advertisedRoutes.some((route) => familyOf(route) === 4)
  const wants6 = advertisedRoutes.some((route) => familyOf(route) === 6)
  const off: string[] = []
  const settings: string[] = []
  if (wants4) {
    const missing = await interfacesWithoutForwarding(own)
    if (missing.length > 0) {
      off.push(missing.includes('all') ? 'IPv4' : `IPv4 on ${missing.join(', ')}`)
      settings.push('net.ipv4.ip_forward = 1')
    }
  }
  // Per interface it only means something else: whether router advertisements are heeded.
  if (wants6 && (await setting('ipv6/conf/all/forwarding')) === '0') {
    off.push('IPv6')
    settings.push('net.ipv6.conf.all.forwarding = 1', ...(await keepsRouterAdvertisements()))
  }
  if (off.length === 0) return undefined
  return {
    code: 'ip-forwarding-off',
    text: `IP forwarding is off (${off.join(' and ')}): subnet routes and an exit node on this machine do not work.`,
    fix: await sysctlCommands(settings),
  }
}

/** 'all' = on none. */
async function interfacesWithoutForwarding(own: string | undefined): Promise<string[]> {
  if ((await setting('ipv4/ip_forward')) !== '0') return []
  const names = (await readdir('/proc/sys/net/ipv4/conf')).filter(
    (name) => !['all', 'default', 'lo', own].includes(name),
  )
  const off: string[] = []
  for (const name of names) if ((await setting(`ipv4/conf/${name}/forwarding`)) !== '1') off.push(name)
  return off.length === names.length ? ['all'] : off
}

/** A router does not heed advertisements of others unless told to; the host would lose its own default route. */
async function keepsRouterAdvertisements(): Promise<string[]> {
  const name = defaultInterfaceV6(await readOrEmpty('/proc/net/ipv6_route'))
  if (name === '' || (await setting(`ipv6/conf/${name}/accept_ra`)) !== '1') return []
  return [`net.ipv6.conf.${name.replaceAll('.', '/')}.accept_ra = 2`]
}

export async function sysctlCommands(settings: readonly string[]): Promise<string[]> {
  const hasFolder = await access('/etc/sysctl.d').then(
    () => true,
    () => false,
  )
  const file = hasFolder ? '/etc/sysctl.d/99-pintail.conf' : '/etc/sysctl.conf'
  return [...settings.map((line) => `echo '${line}' | tee -a ${file}`), `sysctl -p ${file}`]
}

/** Forwarded UDP in large pieces; only said where it can be changed. */
export async function checkUdpGroForwarding(folders?: readonly string[]): Promise<Advice | undefined> {
  const program = await findProgram('ethtool', folders)
  const name = defaultInterfaceV4(await readOrEmpty('/proc/net/route'))
  if (program === undefined || name === '') return undefined
  const result = await runProgram(program, ['-k', name])
  return result.status === 0 ? udpGroAdvice(name, result.output) : undefined
}

/** Of `ethtool -k`. */
export function udpGroAdvice(name: string, features: string): Advice | undefined {
  const state = (feature: string): string | undefined =>
    new RegExp(`^\\s*${feature}: (on|off)( \\[fixed\\])?`, 'm').exec(features)?.[0].split(': ')[1]
  const wrong = [
    ...(state('rx-udp-gro-forwarding') === 'off' ? ['rx-udp-gro-forwarding on'] : []),
    ...(state('rx-gro-list') === 'on' ? ['rx-gro-list off'] : []),
  ]
  if (wrong.length === 0) return undefined
  return {
    text: `UDP is forwarded more slowly than ${name} could: its receive offload is not set for forwarding.`,
    fix: [`ethtool -K ${name} ${wrong.join(' ')}`],
  }
}

export async function setting(path: string): Promise<string> {
  return (await readOrEmpty(`/proc/sys/net/${path}`)).trim()
}

async function readOrEmpty(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '') // absent where the kernel lacks that family
}
