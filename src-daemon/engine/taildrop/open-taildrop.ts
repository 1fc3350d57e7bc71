/** Taildrop on this host's disk. */
import { join } from 'node:path'
import type { Log } from '../../io/log/log.ts'
import { openDropFolder } from '../../io/taildrop/folder.ts'
import { Inbox } from './inbox.ts'
import { Taildrop } from './taildrop.ts'

export interface OpenTaildropOptions {
  readonly stateFolder: string
  readonly taildropFolder: string | undefined
  readonly nowMs: () => number
  readonly wallMs: () => number
  readonly log: Log
}

export function openTaildrop({ stateFolder, taildropFolder: direct, ...world }: OpenTaildropOptions): Taildrop {
  const inbox = new Inbox({
    direct: direct === undefined ? undefined : openDropFolder({ path: direct, isDirect: true }),
    openStaging: (owner) => openDropFolder({ path: join(stateFolder, 'files', owner), isDirect: false }),
    ...world,
  })
  return new Taildrop({ inbox })
}
