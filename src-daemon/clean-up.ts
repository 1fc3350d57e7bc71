/**
 * `pintaild --cleanup`: takes back what a killed daemon left of the host's network and name servers, and ends. Nothing
 * while a daemon runs on the same state. [docs/rules/router.md RT-8, docs/rules/dns.md DNS-12]
 */
import { stat } from 'node:fs/promises'
import type { DaemonFlags } from './flags.ts'
import { undoDnsLeftovers } from './io/dns/linux.ts'
import { errorText, type Log } from './io/log/log.ts'
import type { RootHelper } from './io/root-helper/port.ts'
import { undoLeftovers as undoRouter } from './io/router/linux.ts'
import { openFileStore } from './io/store/file.ts'

/** The status to end with. */
export async function cleanUp(flags: DaemonFlags, root: RootHelper, log: Log): Promise<number> {
  const hasState = await stat(flags.stateFolder).then(
    () => true,
    () => false,
  )
  const { tunName } = flags
  const steps: Record<string, () => Promise<void>> = {
    router: async () => (tunName === undefined ? undefined : undoRouter(tunName)),
    dns: () => undoDnsLeftovers(root),
  }
  let status = 0
  // Whoever holds the state is alive and needs all of it.
  const store = hasState ? await openFileStore(flags.stateFolder) : undefined
  try {
    for (const [name, undo] of Object.entries(steps)) {
      try {
        await undo()
        log.info('cleaned-up', { what: name })
      } catch (error) {
        status = 1
        log.error('cannot-clean-up', { what: name, reason: errorText(error) })
      }
    }
  } finally {
    await store?.close()
  }
  return status
}
