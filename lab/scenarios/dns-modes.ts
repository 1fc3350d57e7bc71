/**
 * The matrix of names: every program that manages DNS on Linux, times what is wished of it, times SIGKILL and `--cleanup`.
 * Each cell: programs of the machine find what they should meanwhile, and afterwards every file is as before, byte by byte.
 */
import { checksOn } from '../checks.ts'
import { DnsMachine, DnsNetwork, dnsWishes } from '../dns-machine.ts'
import { dnsModes, soon } from '../dns-modes.ts'
import type { Sheet } from '../measure-line.ts'

export interface DnsModesOptions {
  readonly folder: string
  readonly progress: (text: string) => void
}

export async function dnsModesMatrix(sheet: Sheet, { folder, progress }: DnsModesOptions): Promise<void> {
  // its versions that want to be told are packaged nowhere any more; `io/dns/network-manager.test.ts` plays them on a bus
  progress('skipped: network-manager (1.26.0–1.26.5 only)')
  const network = await DnsNetwork.open(folder)
  try {
    for (const mode of dnsModes) {
      if (mode.packages === undefined) {
        progress(`skipped: ${mode.name}: no package in PINTAIL_DEBS`)
        continue
      }
      progress(mode.name)
      const checks = checksOn(sheet, mode.name)
      const machine = await DnsMachine.open(network, mode)
      try {
        await machine.knowsNames()
        checks.is('is found out', (await machine.report()).mode, mode.name)
        checks.is('programs ask us', await asked(machine), 'asks us')
        await machine.ours.kill()
        for (const wish of dnsWishes) {
          const outcome = await machine.wishKilledCleaned(wish).then(() => 'as before', String)
          checks.is(`${wish}, SIGKILL, --cleanup: byte by byte`, outcome, 'as before')
        }
      } finally {
        await machine.stop()
      }
    }
  } finally {
    await network.close()
  }
}

async function asked(machine: DnsMachine): Promise<string> {
  const isAsked = async () => ((await machine.report()).systemVerdict === 'asks us' ? true : undefined)
  await soon('programs ask us', isAsked).catch(() => {}) // what it was then is told
  return (await machine.report()).systemVerdict
}
