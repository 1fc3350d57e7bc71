/** The daemon's state in one line, for `systemctl status`. Pure. */
import type { Status } from '../../src-contract/localapi/status.ts'

export function statusLine(status: Status): string {
  const trouble = status.Health?.[0]
  const state = stateText(status)
  return trouble === undefined ? state : `${state}; ${trouble}`
}

function stateText({ BackendState, Self, User, TailscaleIPs }: Status): string {
  switch (BackendState) {
    case 'Running': {
      const login = Self === null || Self === undefined ? undefined : User?.[String(Self.UserID)]?.LoginName
      return ['Connected', ...(login === undefined ? [] : [login]), (TailscaleIPs ?? []).join(' ')].join('; ')
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
