/** Taildrop on this host's disk and network. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Log } from '../../io/log/log.ts'
import type { Dialer } from '../../io/proxies/dialer-port.ts'
import { openDropFolder } from '../../io/taildrop/folder.ts'
import { Journal } from '../../io/taildrop/journal.ts'
import { sendToPeer } from '../../io/taildrop/peer-client.ts'
import { Spool } from '../../io/taildrop/spool.ts'
import { History } from './history.ts'
import { Inbox } from './inbox.ts'
import { Outbox } from './outbox.ts'
import { SendQueue } from './queue.ts'
import { Taildrop } from './taildrop.ts'

export interface OpenTaildropOptions {
  readonly stateFolder: string
  readonly taildropFolder: string | undefined
  /** To peers, through the tunnel. */
  readonly dialer: Dialer
  readonly nowMs: () => number
  readonly wallMs: () => number
  readonly log: Log
}

export function openTaildrop({ stateFolder, taildropFolder: direct, dialer, ...world }: OpenTaildropOptions): Taildrop {
  const inbox = new Inbox({
    direct: direct === undefined ? undefined : openDropFolder({ path: direct, isDirect: true }),
    openStaging: (owner) => openDropFolder({ path: join(stateFolder, 'files', owner), isDirect: false }),
    ...world,
  })
  const newId = (): string => randomBytes(15).toString('hex')
  const outbox = new Outbox({ send: (send) => sendToPeer(dialer, send), newId, ...world })
  const spool = new Spool(join(stateFolder, 'outgoing'), world.log)
  const queue = (taildrop: Taildrop): SendQueue =>
    new SendQueue({
      ...{ spool, newId, ...world },
      findTarget: (peer) => taildrop.findTarget(taildrop.view(), peer),
      send: (outgoing) => outbox.send(outgoing),
    })
  const history = new History(new Journal(join(stateFolder, 'transfers.jsonl'), world.log), world.wallMs)
  return new Taildrop({ inbox, outbox, queue, history, wallMs: world.wallMs })
}
