/** `pintail status`: the network as this machine sees it. The words and columns are in `docs/rules/cli.md` CLI-4. */

import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import { goJson } from '../text/go-json.ts'
import { CommandError, type Invocation, type Terminal, type Verb } from '../verb.ts'
import { funnelFooter } from './funnel-footer.ts'
import { healthBlock, notRunningText, statusTable } from './status-text.ts'

export const status: Verb = {
  name: 'status',
  summary: 'Show the state of the network and its machines',
  args: '[--active] [--json]',
  details: "With --json: the daemon's status object; the exit status is then always 0.",
  examples: ['pintail status', 'pintail status --header --peers=false', 'pintail status --json | jq .BackendState'],
  flags: [
    { name: 'active', kind: 'bool', help: 'only machines with traffic lately', default: false },
    { name: 'header', kind: 'bool', help: 'show column headers', default: false },
    { name: 'json', kind: 'bool', help: 'as JSON', default: false },
    { name: 'peers', kind: 'bool', help: 'show the other machines', default: true },
    { name: 'self', kind: 'bool', help: 'show this machine', default: true },
  ],
  run,
}

async function run(call: Invocation): Promise<number> {
  const { args, flags, terminal } = call
  if (args.length > 0) throw new CommandError("unexpected non-flag arguments to 'pintail status'")
  const client = await call.connect()
  const answer = await client.status({ peers: flags.bool('peers') })
  if (flags.bool('json')) {
    terminal.out(goJson(flags.bool('active') ? onlyActive(answer) : answer, '  '))
    return 0
  }
  if (!refuseUnlessRunning(answer, terminal)) return 1
  const { text, hiddenExitNodes } = statusTable(answer, {
    active: flags.bool('active'),
    header: flags.bool('header'),
    peers: flags.bool('peers'),
    self: flags.bool('self'),
    nowMs: terminal.now(),
  })
  terminal.out(text)
  if (hiddenExitNodes)
    terminal.out(
      '\n# To see the full list of exit nodes, including location-based exit nodes, run `pintail exit-node list`  \n',
    )
  if ((answer.Health ?? []).length > 0) terminal.out(`\n${healthBlock(answer)}`)
  terminal.out(await funnelText(client))
  return 0
}

/** Prints why not. */
export function refuseUnlessRunning(answer: Status, terminal: Terminal): boolean {
  const why = notRunningText(answer)
  if (why === undefined) return true
  const isStarting = answer.BackendState === 'NoState' && (answer.Health ?? []).length > 0
  terminal.out(`${isStarting ? `${healthBlock(answer)}\n` : ''}${why}\n`)
  return false
}

function onlyActive(answer: Status): Status {
  const active = Object.entries(answer.Peer ?? {}).filter(([, peer]) => peer.Active)
  return { ...answer, Peer: answer.Peer === null ? null : Object.fromEntries(active) }
}

async function funnelText(client: LocalClient): Promise<string> {
  try {
    return funnelFooter((await client.serveConfig()).config)
  } catch (error) {
    if (!(error instanceof LocalApiError)) throw error
    return `\n# Funnel:\n#     - Unable to get Funnel status: ${error.message}\n\n`
  }
}
