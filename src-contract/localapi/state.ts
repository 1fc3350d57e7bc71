/** The daemon's states: numbers on the bus, names in `status`. */
export const ipnStates = [
  'NoState',
  'InUseOtherUser',
  'NeedsLogin',
  'NeedsMachineAuth',
  'Stopped',
  'Starting',
  'Running',
] as const
export type IpnStateName = (typeof ipnStates)[number]
export type IpnStateNumber = 0 | 1 | 2 | 3 | 4 | 5 | 6

export function ipnStateNumber(name: IpnStateName): IpnStateNumber {
  return ipnStates.indexOf(name) as IpnStateNumber
}
