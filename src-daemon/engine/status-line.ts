/** The daemon's state in one line, for `systemctl status`: version, network, what is wrong. Pure. [U1] */
import type { Status } from '../../src-contract/localapi/status.ts'

export function statusLine(status: Status): string {
  const trouble = status.Health?.[0]
  const state = `${status.Version}: ${stateText(status)}`
  return trouble === undefined ? state : `${state}; ${trouble}`
}

function stateText({ BackendState, CurrentTailnet, Self, User, TailscaleIPs }: Status): string {
  switch (BackendState) {
    case 'Running': {
      const login = Self === null || Self === undefined ? undefined : User?.[String(Self.UserID)]?.LoginName
      const network = CurrentTailnet?.Name ? ` to ${CurrentTailnet.Name}` : ''
      return [`Connected${network}`, ...(login === undefined ? [] : [login]), (TailscaleIPs ?? []).join(' ')].join('; ')
    }
    case 'NeedsLogin':
      return 'Needs login: pintail up'
    case 'NeedsMachineAuth':
      return 'Waiting for approval by an administrator'
    case 'Starting':
      return 'Connecting'
    case 'Stopped':
      return 'Stopped: pintail up'
    default:
      return 'Starting'
  }
}
