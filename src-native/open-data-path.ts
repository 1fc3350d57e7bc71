/**
 * Chooses and opens the data path: the native one, or the twin where it was asked for or nothing else is possible.
 *
 * Knobs, for comparing and for finding faults: `PINTAIL_DATAPATH=native|twin`, `PINTAIL_AEAD=ipsec-mb|openssl`. What was
 * forced and cannot be had is an error, not a silent second choice.
 */
import { type Addon, type LoadedAddon, loadAddon } from './addon.ts'
import { addonAead, nodeAead } from './aead.ts'
import type { DataPath, DataPathOptions } from './door.ts'
import { openNative } from './native.ts'
import type { AeadName } from './native-addon.ts'
import { slotBytesFor } from './slots.ts'
import { Tun } from './tun.ts'
import { openTwin } from './twin.ts'
import { openAddonUdp } from './udp-addon.ts'
import { openDgramUdp } from './udp-dgram.ts'

export interface DataPathKnobs {
  readonly prefer: 'native' | 'twin' | undefined
  readonly aead: AeadName | undefined
}

export function dataPathKnobs(environment: NodeJS.ProcessEnv): DataPathKnobs {
  return {
    prefer: oneOf(environment, 'PINTAIL_DATAPATH', ['native', 'twin']),
    aead: oneOf(environment, 'PINTAIL_AEAD', ['ipsec-mb', 'openssl']),
  }
}

function oneOf<T extends string>(environment: NodeJS.ProcessEnv, name: string, values: readonly T[]): T | undefined {
  const given = environment[name]
  if (given === undefined || given === '') return undefined
  const value = values.find((candidate) => candidate === given)
  if (value === undefined) throw new Error(`${name}=${given}: it takes ${values.join(' or ')}`)
  return value
}

export async function openDataPath(
  options: DataPathOptions,
  { prefer, aead }: DataPathKnobs = dataPathKnobs(process.env),
): Promise<DataPath> {
  const found = loadAddon()
  // packets of a TCP stack in JavaScript are there already; what else the addon would do is told when it is missing
  if (options.openHost !== undefined) return openTypeScript(options, found, found.ok ? undefined : found.reason)
  const chosen = chooseDataPath(found, { prefer, aead })
  return chosen.native === undefined
    ? openTypeScript(options, found, chosen.whyNotNative)
    : openNative(chosen.native, { ...options, aead: aead ?? '' })
}

/** `native`: the addon to use; else why not, undefined when the twin was asked for. */
export function chooseDataPath(
  found: LoadedAddon,
  { prefer, aead }: DataPathKnobs,
): { readonly native: Addon } | { readonly native?: undefined; readonly whyNotNative: string | undefined } {
  const problem = nativeProblem(found, aead)
  if (prefer !== 'twin' && problem === undefined && found.ok) return { native: found.addon }
  if (prefer === 'native' || aead !== undefined)
    throw new Error(`no native data path: ${problem ?? 'the twin was asked for'}`)
  return { whyNotNative: prefer === 'twin' ? undefined : problem }
}

function nativeProblem(found: LoadedAddon, aead: AeadName | undefined): string | undefined {
  if (!found.ok) return found.reason
  if (found.addon.dataPath.hasBackend(aead ?? '')) return undefined
  return `${aead ?? 'neither libipsec-mb nor OpenSSL'} cannot be had from this runtime`
}

function openTypeScript(
  options: DataPathOptions,
  found: LoadedAddon,
  whyNotNative: string | undefined,
): Promise<DataPath> {
  const { tunName, mtuBytes, fwmark, openHost } = options
  const slotBytes = slotBytesFor(mtuBytes)
  const addon: Addon | undefined = tunName === undefined ? undefined : addonFor(tunName, found)
  return openTwin(options, {
    aead: (found.ok && addonAead(found.addon)) || nodeAead,
    whyNotNative,
    nowMs: () => performance.now(),
    openUdp: (port, handlers) =>
      found.ok
        ? openAddonUdp(found.addon, { port, mark: fwmark, slotBytes }, handlers)
        : openDgramUdp({ port, mark: fwmark, slotBytes }, handlers),
    openTun:
      addon === undefined || tunName === undefined
        ? openHost
        : (handlers) => new Tun(addon, tunName, mtuBytes, slotBytes, handlers),
  })
}

/** The twin, too, has its interface from the addon. */
function addonFor(tunName: string, found: LoadedAddon): Addon {
  if (found.ok) return found.addon
  throw new Error(
    `the interface ${tunName} needs the native addon: ${found.reason}; --tun=userspace-networking does without either`,
    { cause: found.cause },
  )
}
