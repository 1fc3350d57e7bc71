/** The host's user accounts, as far as rights on the LocalAPI need them. */
export interface UserAccounts {
  /** undefined = there is no such user. */
  uidOf(name: string): Promise<number | undefined>
}

/** Credentials of the process at the other end of a Unix socket, as the kernel tells them. */
export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}
