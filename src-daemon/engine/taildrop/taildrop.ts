/**
 * Files between machines, both ways, as the rest of the daemon sees them: whose network this is now, whom we can send to
 * and why not to others, what the watchers hear. [docs/rules/taildrop.md]
 */
import type { Node } from '../../../src-contract/control/map.ts'
import { idText } from '../../../src-contract/ids.ts'
import type { FileTarget } from '../../../src-contract/localapi/files.ts'
import type { Notify } from '../../../src-contract/localapi/notify.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import {
  isFileSharingOn,
  isWorthTrying,
  type TargetReason,
  whyNotTarget,
} from '../../../src-protocol/machines/taildrop/who-may.ts'
import type { PeerSendResult } from '../../io/taildrop/peer-client.ts'
import { displayName, nodeAddresses, peerApiUrls, timeText } from '../node-text.ts'
import { peerCapabilities } from '../peer-capabilities.ts'
import type { History } from './history.ts'
import type { Inbox } from './inbox.ts'
import type { Outbox } from './outbox.ts'
import type { QueueTarget, SendQueue } from './queue.ts'

export interface TaildropView {
  readonly netmap: Netmap | undefined
  readonly isRunning: boolean
}

export interface TaildropOptions {
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly history: History
  readonly wallMs: () => number
  readonly queue: (taildrop: Taildrop) => SendQueue
}

export class Taildrop {
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly queue: SendQueue
  readonly history: History
  #owner: string | undefined
  /** News for the watchers. */
  tell: (fields: Partial<Notify>) => void = () => {}
  /** What is so now. */
  view: () => TaildropView = () => ({ netmap: undefined, isRunning: false })

  constructor({ inbox, outbox, queue, history, wallMs }: TaildropOptions) {
    this.history = history
    this.inbox = inbox
    this.outbox = outbox
    outbox.onOutgoing = (OutgoingFiles) => this.tell({ OutgoingFiles: [...OutgoingFiles] })
    this.queue = queue(this)
    inbox.onIncoming = (IncomingFiles) => this.tell({ IncomingFiles: [...IncomingFiles] })
    inbox.onOver = ({ name, sender }, result, startedWallMs) =>
      void history.note({
        ...{ Direction: 'in', PeerID: sender, PeerName: this.#nameOf(sender) },
        Name: result.kind === 'done' ? result.name : name,
        Size: 'bytes' in result ? result.bytes : 0,
        ...{ Started: timeText(startedWallMs), Finished: timeText(wallMs()), Result: result.kind },
      })
    outbox.onOver = ({ target, name }, { Sent, Started }, result) =>
      void history.note({
        ...{ Direction: 'out', PeerID: target.Node.StableID, PeerName: displayName(target.Node) },
        ...{ Name: name, Size: Sent, Started, Finished: timeText(wallMs()), Result: resultText(result) },
      })
    inbox.onWaiting = () => this.tell({})
  }

  /** Goes with every message of the bus. */
  get common(): Partial<Notify> {
    return this.inbox.isWaiting ? { FilesWaiting: {} } : {}
  }

  /** Whose network this is; undefined = none. Cheap while it stays. */
  configure(netmap: Netmap | undefined): void {
    const owner = netmap === undefined ? undefined : ownerOf(netmap)
    if (owner !== this.#owner) this.outbox.reset()
    this.#owner = owner
    this.inbox.setOwner(owner)
    this.queue.follow(owner)
    this.history.follow(owner)
  }

  /** By name; a reason in words when there can be none at all. */
  targets(view: TaildropView): readonly FileTarget[] | 'not-running' | 'not-allowed' {
    const { netmap, isRunning } = view
    if (!isRunning || netmap === undefined) return 'not-running'
    if (!isFileSharingOn(netmap.self)) return 'not-allowed'
    const found: FileTarget[] = []
    for (const peer of netmap.peers.values()) {
      const [url] = peerApiUrls(peer)
      if (url === undefined || !isWorthTrying(whyNot(view, peer), true)) continue
      // stock clients show this name, which a stock daemon works out by itself
      found.push({ Node: { ...peer, ComputedName: peer.ComputedName || displayName(peer) }, PeerAPIURL: url })
    }
    return found.sort((a, b) => (a.Node.Name < b.Node.Name ? -1 : 1))
  }

  findTarget(view: TaildropView, peerId: string): QueueTarget | undefined {
    const targets = this.targets(view)
    const target = typeof targets === 'string' ? undefined : targets.find(({ Node }) => Node.StableID === peerId)
    return target === undefined ? undefined : { target, isOnline: target.Node.Online !== false }
  }

  #nameOf(stableId: string): string {
    for (const peer of this.view().netmap?.peers.values() ?? [])
      if (peer.StableID === stableId) return displayName(peer)
    return ''
  }

  close(): void {
    this.queue.close()
    this.outbox.reset()
    this.inbox.close()
  }
}

function resultText(result: PeerSendResult): string {
  if (result.kind !== 'answered') return result.reason
  return result.status === 200 ? 'done' : result.text.trim().slice(0, 200) || `status ${result.status}`
}

export function whyNot({ netmap, isRunning }: TaildropView, peer: Node): TargetReason {
  const [source] = nodeAddresses(peer)
  return whyNotTarget({
    isRunning,
    self: netmap?.self,
    peer,
    hasPeerApi: peerApiUrls(peer).length > 0,
    grantedToPeer: netmap === undefined || source === undefined ? null : peerCapabilities(netmap, false, source),
  })
}

/** The name of a folder: what comes from a server stays one plain word. */
function ownerOf({ self, userProfiles }: Netmap): string {
  const login = userProfiles.get(idText(self.User))?.LoginName ?? ''
  return `${login
    .replaceAll('@', '-')
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .slice(0, 100)}-uid-${idText(self.User)}`
}
