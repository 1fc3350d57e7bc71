/** Some changes can cut the very connection they are typed over; then a person is asked first. */
import { isTailnetIp } from '../text/address.ts'
import { CommandError, type Terminal } from '../verb.ts'
import { findSshSession } from './ssh-session.ts'

export const acceptRiskFlag = {
  name: 'accept-risk',
  kind: 'text',
  default: '',
  help: 'accept a risk without being asked: lose-ssh, all',
} as const

export function acceptsLoseSsh(accepted: string): boolean {
  const risks = accepted.split(',')
  return risks.includes('all') || risks.includes('lose-ssh')
}

export async function askLoseSsh(terminal: Terminal, accepted: string, warning: string): Promise<void> {
  if (acceptsLoseSsh(accepted)) return
  const session = await findSshSession(terminal)
  if (session === undefined || !isTailnetIp(session.client.ip)) return
  terminal.out(`${warning}\nTo skip this warning, use --accept-risk=lose-ssh\n`)
  if (!(await terminal.confirm('Continue?'))) throw new CommandError('aborted, no changes made')
}
