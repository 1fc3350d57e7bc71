/** `pintail changes`: the change of the network that waits for its confirmation. */
import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import type { ChangesReport, Pending } from '../../src-contract/localapi/changes.ts'
import { clockText, mustHaveChanges, outcomeText } from '../settings/safe-apply.ts'
import { goJson } from '../text/go-json.ts'
import { CommandError, type Invocation, refuseArgs, type Verb } from '../verb.ts'

const flags = [{ name: 'json', kind: 'bool', help: 'print JSON', default: false }] as const

export const changes: Verb = {
  name: 'changes',
  summary: 'Keep or take back a change of the network',
  details: `With --confirm-within, and by itself over an SSH session that goes through this network, a change by
"up", "set", "down", "bypass" or "route" is taken back at its deadline unless it is confirmed.`,
  examples: ['pintail set --exit-node=office --confirm-within=30s', 'pintail changes', 'pintail changes confirm'],
  flags,
  run: status,
  verbs: [
    {
      name: 'status',
      summary: 'Show the change that waits',
      examples: ['pintail changes status', 'pintail changes status --json'],
      flags,
      run: status,
    },
    {
      name: 'confirm',
      summary: 'Keep the change',
      examples: ['pintail changes confirm'],
      flags,
      run: (call) => answer(call, (client, { Id }) => client.confirmChange(Id)),
    },
    {
      name: 'revert',
      summary: 'Take the change back now',
      examples: ['pintail changes revert'],
      flags,
      run: (call) => answer(call, (client, { Id }) => client.revertChange(Id)),
    },
  ],
}

async function status(call: Invocation): Promise<number> {
  refuseArgs(call)
  const { terminal } = call
  const report = await read(await call.connect())
  if (call.flags.bool('json')) terminal.out(`${goJson(report)}\n`)
  else if (report.Pending !== null) {
    const { What, SecondsLeft, Deadline } = report.Pending
    terminal.out(
      `Waits for confirmation: ${What.join(', ')}. Taken back in ${SecondsLeft} s, at ${clockText(Deadline)}.\nTo keep it: pintail changes confirm\n`,
    )
  } else {
    const last = report.Last === null ? '' : ` The last one, at ${clockText(report.Last.At)}: ${outcomeText(report)}`
    terminal.out(`No change waits for its confirmation.${last}\n`)
  }
  return 0
}

async function answer(
  call: Invocation,
  send: (client: LocalClient, pending: Pending) => Promise<ChangesReport>,
): Promise<number> {
  refuseArgs(call)
  const client = await call.connect()
  const { Pending } = await read(client)
  if (Pending === null) throw new CommandError('no change waits for its confirmation')
  try {
    const report = await send(client, Pending)
    call.terminal.out(call.flags.bool('json') ? `${goJson(report)}\n` : `${outcomeText(report)}\n`)
    return report.Last?.Outcome === 'failed' ? 1 : 0
  } catch (error) {
    if (error instanceof LocalApiError && error.status === 409) throw new CommandError(error.message)
    throw error
  }
}

async function read(client: LocalClient): Promise<ChangesReport> {
  await mustHaveChanges(client)
  return (await client.pendingChanges()) ?? { Pending: null, Last: null }
}
