/** Linux: finds out who manages DNS here and opens the way to it. First of all it undoes what a killed daemon left. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DbusConnection } from '../dbus/bus.ts'
import { errorText, type Log } from '../log/log.ts'
import type { RootHelper } from '../root-helper/port.ts'
import { resolvconfStyle } from '../root-helper/resolvconf-program.ts'
import { type DnsFacts, decideDnsMode } from './detect.ts'
import { DirectOsDns } from './direct.ts'
import { NETWORK_MANAGER, NetworkManagerOsDns, readNetworkManager } from './network-manager.ts'
import type { OsDns, OsDnsResult } from './port.ts'
import { ResolvconfOsDns } from './resolvconf.ts'
import { RESOLVED, ResolvedOsDns } from './resolved.ts'
import { findProgram } from './run-program.ts'

export interface LinuxOsDnsOptions {
  readonly interfaceName: string
  readonly log: Log
  readonly root: RootHelper
  /** /etc */
  readonly folder?: string
}

export async function openLinuxOsDns(options: LinuxOsDnsOptions): Promise<OsDns> {
  const { interfaceName, log, root, folder = '/etc' } = options
  await undoDnsLeftovers(root, folder).catch((error: unknown) =>
    log.warn('dns-leftovers', { reason: errorText(error) }),
  )
  const facts = await readFacts(folder)
  const { mode, why } = decideDnsMode(facts)
  log.info('dns-mode', { mode, why })
  const openBus = (): Promise<DbusConnection> => DbusConnection.open()
  if (mode === 'systemd-resolved') return new ResolvedOsDns({ interfaceName, why, openBus })
  if (mode === 'network-manager') return new NetworkManagerOsDns({ interfaceName, why, openBus })
  if (mode === 'direct') return new DirectOsDns({ folder, why, root })
  const program = (await findProgram('resolvconf')) ?? 'resolvconf'
  return new ResolvconfOsDns({ style: mode === 'resolvconf' ? 'debian' : 'openresolv', program, root, why })
}

/**
 * For the next start and `--cleanup`; does nothing where nothing is left. What systemd-resolved and NetworkManager were
 * told has gone with the interface. Fails when something of ours remains, after having tried all of it.
 */
export async function undoDnsLeftovers(root: RootHelper, folder = '/etc'): Promise<void> {
  const problems: string[] = []
  const note = (result: OsDnsResult): void => {
    if (result.kind === 'failed') problems.push(result.message)
  }
  note(await new DirectOsDns({ folder, root, why: 'leftovers' }).apply(undefined))
  const program = await findProgram('resolvconf')
  const style = await resolvconfStyle(program)
  if (program !== undefined && style !== undefined) {
    const records = new ResolvconfOsDns({ style, program, root, why: 'leftovers' })
    if (await records.hasRecord()) note(await records.apply(undefined))
  }
  if (problems.length > 0) throw new Error(problems.join('; '))
}

async function readFacts(folder: string): Promise<DnsFacts> {
  const resolvConf = await readFile(join(folder, 'resolv.conf'), 'utf8').catch(() => undefined)
  const nsswitch = await readFile(join(folder, 'nsswitch.conf'), 'utf8').catch(() => '')
  const bus = await DbusConnection.open().catch(() => undefined) // a host without a bus has neither
  try {
    return {
      resolvConf,
      nsswitch,
      isResolvedThere: (await bus?.isOwned(RESOLVED).catch(() => false)) ?? false,
      networkManager: (await bus?.isOwned(NETWORK_MANAGER).catch(() => false))
        ? await readNetworkManager(bus!)
        : undefined,
      resolvconf: await resolvconfStyle(await findProgram('resolvconf')),
    }
  } finally {
    bus?.close()
  }
}

/** Not on hosts without the family, nor where it is off for our interface. */
export function hasIpv6(interfaceName: string): boolean {
  try {
    return readFileSync(`/proc/sys/net/ipv6/conf/${interfaceName}/disable_ipv6`, 'utf8').trim() === '0'
  } catch {
    return false
  }
}
