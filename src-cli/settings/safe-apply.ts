/**
 * How a change of the network is made: as it is, shown only, or with a deadline at which the daemon takes it back unless
 * a person says that it works. Over an SSH session that the change may cut, the deadline is the default.
 * [docs/rules/changes.md; docs/rules/cli.md CLI-7]
 */
import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import {
  type AppliedChange,
  type ChangeSession,
  type ChangesReport,
  isNetworkChange,
  type NetworkChange,
} from '../../src-contract/localapi/changes.ts'
import { diffText, warningsText } from '../text/change-text.ts'
import { goJson } from '../text/go-json.ts'
import { CommandError, type FlagSpec, type Invocation, type Terminal } from '../verb.ts'
import { acceptsLoseSsh } from './risk.ts'
import { endText, findSshSession } from './ssh-session.ts'

const OVER_SSH_MS = 60_000
/** The daemon takes it back by its own clock; only then is there something to tell. */
const AFTER_DEADLINE_MS = 1_000

export const safeApplyFlags: readonly FlagSpec[] = [
  {
    name: 'confirm-within',
    kind: 'duration',
    help: 'take the change back unless it is confirmed within this time, e.g. 30s; over SSH that goes through this network: 1m',
  },
  { name: 'yes', kind: 'bool', help: 'keep the change without confirmation, also over SSH' },
  { name: 'dry-run', kind: 'bool', help: 'show what the change would do, and do nothing' },
]

export function asksForSafety({ flags }: Invocation): boolean {
  return flags.bool('dry-run') || flags.given('confirm-within')
}

/** `plain` makes the change as it is. The exit status. */
export async function makeChange(
  call: Invocation,
  client: LocalClient,
  change: NetworkChange,
  plain: () => Promise<void>,
): Promise<number> {
  const { flags, terminal } = call
  if (flags.bool('yes') && flags.given('confirm-within'))
    throw new CommandError('--confirm-within and --yes exclude each other')
  const Session = await sessionOf(terminal)
  const request = { ...change, ...(Session === undefined ? {} : { Session }) }
  if (flags.bool('dry-run')) {
    await mustHaveChanges(client)
    const preview = await client.previewChange(request)
    if (wantsJson(call)) terminal.out(`${goJson(preview)}\n`)
    else terminal.out(diffText(preview.Diff) + warningsText(preview.Warnings))
    return 0
  }
  const withinMs = await withinFor(call, client, change, Session)
  if (withinMs === undefined) {
    await plain()
    return 0
  }
  await mustHaveChanges(client)
  const applied = await apply(() => client.applyChange({ ...request, ConfirmWithinSeconds: withinMs / 1000 }))
  if (wantsJson(call)) terminal.out(`${goJson(applied)}\n`)
  if (applied.Id === '') return 0
  return waitForWord(client, terminal, applied, { withinMs, wantsJson: wantsJson(call) })
}

async function withinFor(
  { flags }: Invocation,
  client: LocalClient,
  change: NetworkChange,
  Session: ChangeSession | undefined,
): Promise<number | undefined> {
  if (flags.given('confirm-within')) {
    const withinMs = flags.ms('confirm-within')
    if (withinMs < 1_000 || withinMs > 3_600_000) throw new CommandError('--confirm-within must be between 1s and 1h')
    return withinMs
  }
  if (flags.bool('yes') || acceptsLoseSsh(flags.text('accept-risk'))) return undefined
  if (Session === undefined || !isNetworkChange(change) || !(await hasChanges(client))) return undefined
  const { SessionWay, Warnings } = await client.previewChange({ ...change, Session })
  const isAtRisk = SessionWay === 'tunnel' || Warnings.some(({ Code }) => Code === 'session-cut')
  return isAtRisk ? OVER_SSH_MS : undefined
}

/** A change that another one keeps from being made is the person's to decide. */
async function apply(send: () => Promise<AppliedChange>): Promise<AppliedChange> {
  try {
    return await send()
  } catch (error) {
    if (!(error instanceof LocalApiError) || error.status !== 409) throw error
    throw new CommandError(
      `${error.message}\nSee "pintail changes"; then "pintail changes confirm" or "pintail changes revert".`,
    )
  }
}

async function waitForWord(
  client: LocalClient,
  terminal: Terminal,
  applied: AppliedChange,
  { withinMs, wantsJson }: { withinMs: number; wantsJson: boolean },
): Promise<number> {
  terminal.err(
    `${warningsText(applied.Warnings)}Done for now. Unless you confirm it, it is taken back in ${withinMs / 1000} s, at ${clockText(applied.Deadline)}.
To keep it: pintail changes confirm. To be asked no more: --yes\n`,
  )
  if (!terminal.isInteractive || wantsJson) return 0
  const overdue = AbortSignal.timeout(withinMs)
  const isKept = await terminal.confirm('Does everything still work? Keep the change?', overdue)
  if (terminal.interrupted.aborted) return 130 // it waits on, and somebody else may confirm it
  const report = await wordOf(client, terminal, applied.Id, overdue.aborted ? 'nothing' : isKept ? 'keep' : 'back')
  terminal.err(`${outcomeText(report)}\n`)
  return report?.Last?.Outcome === 'confirmed' ? 0 : 1
}

async function wordOf(
  client: LocalClient,
  terminal: Terminal,
  id: string,
  word: 'keep' | 'back' | 'nothing',
): Promise<ChangesReport | undefined> {
  try {
    if (word === 'keep') return await client.confirmChange(id)
    if (word === 'back') return await client.revertChange(id)
    terminal.err('\n')
    await terminal.sleep(AFTER_DEADLINE_MS)
  } catch (error) {
    if (!(error instanceof LocalApiError) || error.status !== 409) throw error // else something was faster
  }
  return client.pendingChanges()
}

export function outcomeText(report: ChangesReport | undefined): string {
  const last = report?.Last
  if (last === null || last === undefined) return 'No change waits for its confirmation.'
  const left = last.Left.length === 0 ? '' : ` Changed by somebody else since, and left so: ${last.Left.join(', ')}.`
  switch (last.Outcome) {
    case 'confirmed':
      return 'Kept.'
    case 'reverted':
      return `Taken back.${left}`
    case 'expired':
      return `Nobody confirmed it in time: taken back.${left}`
    case 'forgotten':
      return 'It ended with its login.'
    case 'failed':
      return `It could not be taken back: ${last.Reason}`
    default:
      return `It ended: ${String(last.Outcome)}`
  }
}

/** Of this place: the person looks at a clock on the wall. */
export function clockText(time: string): string {
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? time : date.toTimeString().slice(0, 8)
}

export async function mustHaveChanges(client: LocalClient): Promise<void> {
  if (!(await hasChanges(client))) throw new CommandError('this daemon cannot show or take back changes; pintaild can')
}

async function hasChanges(client: LocalClient): Promise<boolean> {
  return (await client.pintailFeatures())?.features.includes('changes') === true
}

async function sessionOf(terminal: Terminal): Promise<ChangeSession | undefined> {
  const session = await findSshSession(terminal)
  if (session === undefined) return undefined
  return { Client: endText(session.client), Server: endText(session.server) } as ChangeSession
}

function wantsJson({ flags }: Invocation): boolean {
  return flags.bool('json')
}
