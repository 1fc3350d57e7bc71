/** What the twin keeps for one peer. */
import type { Activity, PeerId } from './door.ts'
import { KeypairSlots } from './keypairs.ts'
import type { OwnAddresses } from './masquerade.ts'
import type { PacketFields } from './packet-fields.ts'
import { type ParsedPrefix, prefixHolds } from './prefix-map.ts'
import { type DatagramSource, type SocketAddress, socketAddress } from './slots.ts'

export class PeerEntry {
  readonly id: PeerId
  readonly keys = new KeypairSlots()
  allowed: readonly ParsedPrefix[] = []
  isJailed = false
  /** What it calls us, where that is not our own address; undefined = nothing of the kind. */
  masquerade: OwnAddresses | undefined
  /** Its own IPv4 address, for what it sends through 4via6; 0 = none. */
  v4 = 0
  isRemoved = false

  udp: SocketAddress | undefined
  vni: number | undefined
  useRelay = false

  rxBytes = 0
  txBytes = 0
  rxPackets = 0
  txPackets = 0

  /** Since the last report. */
  sentData = false
  sentAny = false
  receivedData = false
  receivedAny = false

  #from: Activity['from']
  #fromRelay = false
  readonly #fromWords = new Uint32Array(7)

  constructor(id: PeerId) {
    this.id = id
  }

  hasActivity(): boolean {
    return this.sentAny || this.sentData || this.receivedAny
  }

  /** May this peer send from the packet's source address? */
  ownsSource(p: PacketFields): boolean {
    return this.allowed.some((prefix) => prefix.family === p.family && prefixHolds(prefix, p.s0, p.s1, p.s2, p.s3))
  }

  /** Notes where an authenticated datagram came from; makes text only when that changed. */
  heardFrom(source: DatagramSource | 'relay'): void {
    if (source === 'relay') {
      this.#fromRelay = true
      return
    }
    this.#fromRelay = false
    if (this.#from !== undefined && source.same(this.#fromWords)) return
    source.copyTo(this.#fromWords)
    this.#from = source.text()
  }

  /** Of a plain device: its packets go to where the peer was heard from. */
  follow(source: DatagramSource): void {
    if (this.udp === undefined || !source.same(this.udp.words)) this.udp = socketAddress(source.text())
  }

  /** The report, and a clean sheet. */
  takeActivity(): Activity {
    const keys = this.keys.current
    const activity: Activity = {
      kind: 'activity',
      peer: this.id,
      localIndex: keys?.localIndex ?? 0,
      sentData: this.sentData,
      sentAny: this.sentAny,
      receivedData: this.receivedData,
      receivedAny: this.receivedAny,
      sendCounter: keys?.sendCounter ?? 0,
      from: this.#fromRelay ? 'relay' : this.#from,
    }
    this.sentData = this.sentAny = this.receivedData = this.receivedAny = false
    return activity
  }
}
