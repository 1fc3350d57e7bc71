/**
 * `pintail netcheck`: what the network around this machine lets through. The daemon measures, on the sockets it really
 * uses; a stock daemon leaves measuring to its own command line, and we say so.
 */

import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import type { DerpMap } from '../../src-contract/control/map.ts'
import type { NetcheckReport } from '../../src-contract/localapi/netcheck.ts'
import { goJson } from '../text/go-json.ts'
import { quote } from '../text/quote.ts'
import { CommandError, refuseArgs, type Verb } from '../verb.ts'
import { netcheckText } from './netcheck-text.ts'

const FORMATS = ['', 'json', 'json-line']
/** A report takes up to 5 s; the daemon may be busy with one. */
const TIMEOUT_MS = 20_000

export const netcheck: Verb = {
  name: 'netcheck',
  summary: 'Analyse the local network: UDP, addresses, NAT, relays',
  examples: ['pintail netcheck', 'pintail netcheck --verbose', 'pintail netcheck --format=json-line --every=30s'],
  flags: [
    { name: 'every', kind: 'duration', help: 'repeat at this interval; 0s = once', default: 0 },
    { name: 'format', kind: 'text', help: 'empty for people, "json" or "json-line"', default: '' },
    { name: 'verbose', kind: 'bool', help: 'show region numbers', default: false },
  ],
  async run(call) {
    const { flags, terminal } = call
    const format = flags.text('format')
    if (!FORMATS.includes(format)) throw new CommandError(`unknown output format ${quote(format)}`)
    refuseArgs(call)
    const client = await call.connect()
    if (format !== '') terminal.err('# Warning: this JSON format is not yet considered a stable interface\n')
    for (;;) {
      const report = await measure(client)
      if (format === 'json') terminal.out(`${goJson(report, '\t')}\n`)
      else if (format === 'json-line') terminal.out(`${goJson(report)}\n`)
      else terminal.out(netcheckText(report, await derpMap(client), { verbose: flags.bool('verbose') }))
      if (flags.ms('every') <= 0) return 0
      await terminal.sleep(flags.ms('every'), terminal.interrupted)
    }
  },
}

async function measure(client: LocalClient): Promise<NetcheckReport> {
  try {
    return (await client.json('POST', 'pintail/netcheck', { timeoutMs: TIMEOUT_MS })) as NetcheckReport
  } catch (error) {
    if (!(error instanceof LocalApiError) || error.code !== 'not-found') throw error
    if ((await client.pintailFeatures()) !== undefined)
      throw new CommandError(`the pintaild on ${client.socketPath} is too old to measure; restart it with this version`)
    throw new CommandError(
      `the daemon on ${client.socketPath} is not pintaild and cannot measure for us; use its own "tailscale netcheck"`,
    )
  }
}

async function derpMap(client: LocalClient): Promise<DerpMap> {
  return (await client.derpMap()) ?? {}
}
