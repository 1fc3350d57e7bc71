/** Packets that wait for a handshake: per peer the newest 128, over all peers 8 MiB. */
import type { PeerId } from '../activity.ts'
import { STAGED_BYTES, STAGED_PACKETS_PER_PEER } from './constants.ts'

export class Staging {
  readonly #queues = new Map<PeerId, Uint8Array[]>()
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  has(peer: PeerId): boolean {
    return this.#queues.has(peer)
  }

  /** Makes room by this peer's oldest packets, never by another's. Answers how many packets were lost for it. */
  stage(peer: PeerId, packet: Uint8Array): number {
    const queue = this.#queues.get(peer) ?? []
    let lost = 0
    while (
      queue.length >= STAGED_PACKETS_PER_PEER ||
      (queue.length > 0 && this.#bytes + packet.length > STAGED_BYTES)
    ) {
      this.#bytes -= queue.shift()!.length
      lost++
    }
    if (this.#bytes + packet.length > STAGED_BYTES) {
      lost++
    } else {
      queue.push(packet)
      this.#bytes += packet.length
    }
    if (queue.length > 0) this.#queues.set(peer, queue)
    else this.#queues.delete(peer)
    return lost
  }

  /** Oldest first; the peer has none afterwards. */
  take(peer: PeerId): Uint8Array[] {
    const queue = this.#queues.get(peer) ?? []
    for (const packet of queue) this.#bytes -= packet.length
    this.#queues.delete(peer)
    return queue
  }
}
