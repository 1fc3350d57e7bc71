/**
 * The numbers that are ours in this host's network, and those that we share with stock daemons so that people's scripts
 * and habits carry over. [docs/rules/router.md RT-1, RT-9]
 */

/** Routes into the tunnel. */
export const TUNNEL_TABLE = 52
/** Who made a route or a rule: the kernel keeps it for us, so that we never touch those of others. */
export const OUR_PROTOCOL = 152

export const MARK_MASK = 0xff0000
/** Arrived from the tunnel and may be forwarded. */
export const FORWARD_MARK = 0x40000
/** The daemon's own sockets. */
export const DAEMON_MARK = 0x80000
/** Sent by a control group that does not take the exit node. Ours alone. */
export const GROUP_MARK = 0x20000

const BASE_PRIORITY = 5200
/** mwan3 of OpenWrt decides from 2001 on; we come before it. */
const BASE_PRIORITY_BESIDE_MWAN3 = 1300

export interface Priorities {
  readonly base: number
  /** Where scripts of users put what shall not take the exit node. */
  readonly bypass: number
}

export function priorities(besideMwan3: boolean): Priorities {
  return besideMwan3
    ? { base: BASE_PRIORITY_BESIDE_MWAN3, bypass: BASE_PRIORITY_BESIDE_MWAN3 - 10 }
    : { base: BASE_PRIORITY, bypass: 5000 }
}

export const hex = (value: number): string => `0x${value.toString(16)}`
/** `0x80000/0xff0000` */
export const markAndMask = (mark: number, mask: number = MARK_MASK): string => `${hex(mark)}/${hex(mask)}`
