/** Some changes can cut the very connection they are typed over; then a person is asked first. */
import { isTailnetIp } from '../text/address.ts'
import { CommandError, type Terminal } from '../verb.ts'

export const acceptRiskFlag = {
  name: 'accept-risk',
  kind: 'text',
  default: '',
  help: 'accept a risk without being asked: lose-ssh, all',
} as const

export function isSshOverTailnet(terminal: Pick<Terminal, 'env'>): boolean {
  return isTailnetIp((terminal.env.SSH_CLIENT ?? '').split(' ')[0] ?? '')
}

export async function askLoseSsh(terminal: Terminal, accepted: string, warning: string): Promise<void> {
  const risks = accepted.split(',')
  if (!isSshOverTailnet(terminal) || risks.includes('all') || risks.includes('lose-ssh')) return
  terminal.out(`${warning}\nTo skip this warning, use --accept-risk=lose-ssh\n`)
  if (!(await terminal.confirm('Continue?'))) throw new CommandError('aborted, no changes made')
}
