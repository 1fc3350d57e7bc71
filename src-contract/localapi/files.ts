/** Files between machines, as LocalAPI and bus show them. [docs/rules/localapi.md LA-9] */
import type { Node } from '../control/map.ts'
import type { StableNodeId, TimeText } from '../ids.ts'

/** `GET file-targets`. */
export interface FileTarget {
  Node: Node
  /** Without a final slash. */
  PeerAPIURL: string
}

/** `GET files/`. */
export interface WaitingFile {
  Name: string
  Size: number
}

export interface IncomingFile {
  Name: string
  Started: TimeText
  /** -1: the sender did not say. */
  DeclaredSize: number
  Received: number
  PartialPath?: string
  FinalPath?: string
  Done?: boolean
}

export interface OutgoingFile {
  ID: string
  PeerID: StableNodeId
  /** Of one that was sent by itself, as it stands in the path: percent-escaped. */
  Name: string
  Started: TimeText
  /** -1: nobody knows. */
  DeclaredSize: number
  Sent: number
  Finished: boolean
  Succeeded: boolean
}

/** `GET pintail/transfers`: what waits in this daemon for its device. */
export interface QueuedTransfer {
  ID: string
  PeerID: StableNodeId
  Name: string
  Size: number
  Created: TimeText
  /** Then it is given up. */
  Expires: TimeText
  State: 'waiting' | 'sending'
  Attempts: number
  LastError?: string
}

/** `GET pintail/transfers/history`: one that is over. */
export interface TransferRecord {
  Direction: 'in' | 'out'
  PeerID: StableNodeId
  /** As it was called then; "" when nobody knew. */
  PeerName: string
  /** Received: as it is called here. */
  Name: string
  /** What there was of it. */
  Size: number
  Started: TimeText
  Finished: TimeText
  /** `done`, or why it ended before. */
  Result: string
}
