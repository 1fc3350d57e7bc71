/** A daemon that was started a moment ago gets a moment: `pintaild & pintail up` works in a script. */
import { LocalApiError } from '../src-client/local-api-error.ts'
import type { LocalClient } from '../src-client/local-client.ts'
import type { Terminal } from './verb.ts'

const EVERY_MS = 100

/** Returns when somebody answers on the socket, whatever the answer, or when the time is over. */
export async function reachDaemon(client: LocalClient, terminal: Terminal, graceMs = terminal.graceMs): Promise<void> {
  const start = terminal.now()
  while (terminal.now() - start < graceMs) {
    try {
      await client.request('GET', '/')
      return
    } catch (error) {
      if (!(error instanceof LocalApiError)) throw error
      if (error.code !== 'daemon-unreachable') return
    }
    await terminal.sleep(EVERY_MS, terminal.interrupted)
  }
}
