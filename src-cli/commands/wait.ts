/** `pintail wait`: block until services can bind to this machine's address in the network. */

import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import { watchMask } from '../../src-contract/localapi/notify.ts'
import { ipnStateNumber } from '../../src-contract/localapi/state.ts'
import { CommandError, type Terminal, type Verb, wordList } from '../verb.ts'

const POLL_MS = 100

export const wait: Verb = {
  name: 'wait',
  summary: 'Wait until the network is up and its address can be used',
  details: 'Blocks until the daemon runs, is connected, and its interface has its address.',
  examples: ['pintail wait && my-server --listen=$(pintail ip -4)', 'pintail wait --timeout=30s'],
  flags: [{ name: 'timeout', kind: 'duration', help: 'give up after this long; 0s = never', default: 0 }],
  async run({ args, flags, connect, terminal }) {
    if (args.length > 0) throw new CommandError(`unexpected arguments: ${wordList(args)}`)
    const timeoutMs = flags.ms('timeout')
    const late = new AbortController()
    const timer = timeoutMs > 0 ? setTimeout(() => late.abort(), timeoutMs) : undefined
    const signal = AbortSignal.any([late.signal, terminal.interrupted])
    try {
      const client = await connect()
      await waitForRunning(client, terminal, signal)
      await waitForAddress(client, terminal, signal)
      return 0
    } catch (error) {
      if (late.signal.aborted) throw new CommandError('timed out waiting for the network')
      throw error
    } finally {
      clearTimeout(timer)
    }
  },
}

/** Also outlives a daemon that is not there yet or restarts. */
async function waitForRunning(client: LocalClient, terminal: Terminal, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      for await (const notify of client.watchBus({ mask: watchMask.initialState, signal })) {
        if (notify.State === ipnStateNumber('Running')) return
      }
    } catch (error) {
      if (!(error instanceof LocalApiError) || error.code !== 'daemon-unreachable') throw error
    }
    await terminal.sleep(POLL_MS, signal)
  }
}

async function waitForAddress(client: LocalClient, terminal: Terminal, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { TailscaleIPs, TUN } = await client.status({ peers: false, signal })
    const own = TailscaleIPs ?? []
    if (own.length > 0 && (!TUN || own.some((ip) => terminal.localAddresses().includes(ip)))) return
    await terminal.sleep(POLL_MS, signal)
  }
}
