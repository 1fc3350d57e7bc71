/** The concrete parts behind the mesh: paths, relays and netcheck (`engine/mesh/needs.ts`). */

import { Paths } from '../src-protocol/machines/paths/paths.ts'
import type { Crypto } from '../src-protocol/wire/crypto.ts'
import type { OpenNetcheck, OpenRelays, PathMachine } from './engine/mesh/needs.ts'
import { netcheckOpener } from './engine/netcheck.ts'
import { relayOpener } from './engine/relays.ts'
import type { Log } from './io/log/log.ts'
import { hostInterfaces } from './io/netmon/interfaces.ts'

export interface MeshPartsOptions {
  readonly crypto: Crypto
  readonly log: Log
  readonly nowMs: () => number
  readonly wallMs: () => number
  readonly random01: () => number
  readonly fwmark: number
  readonly tunName: string | undefined
}

export function meshParts({ crypto, log, nowMs, wallMs, random01, fwmark, tunName }: MeshPartsOptions): {
  openPaths: (keys: { readonly discoPrivate: Uint8Array; readonly nodePublic: Uint8Array }) => PathMachine
  openRelays: OpenRelays
  openNetcheck: OpenNetcheck
} {
  /** When each region's relay was last heard: relays tell, netcheck asks. */
  const heardMs = new Map<number, number>()
  return {
    openPaths: (keys) => new Paths({ crypto, ...keys, wallClockMs: wallMs }),
    openRelays: relayOpener({
      crypto,
      fwmark,
      now: nowMs,
      random01,
      ownAddresses,
      log: log.part('relays'),
      onHeard: (region) => heardMs.set(region, nowMs()),
    }),
    openNetcheck: netcheckOpener({
      crypto,
      fwmark,
      now: nowMs,
      wallMs,
      log: log.part('netcheck'),
      ownInterface: tunName,
      heardMs: (region) => heardMs.get(region),
    }),
  }
}

function ownAddresses(): string[] {
  return Object.values(hostInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))
}
