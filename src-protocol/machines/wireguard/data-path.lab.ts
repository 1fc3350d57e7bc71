/**
 * For tests: transport keys and the three slots, written down plainly from the paper. What the machine mirrors is held
 * against this; the real data path behind the door has tests of its own.
 */
import { nodeCrypto } from '../../crypto/node-crypto.ts'
import { concat } from '../../wire/bytes.ts'
import { ReplayWindow } from '../../wire/replay-window.ts'
import {
  decodeTransportHeader,
  encodeTransportHeader,
  TRANSPORT_HEADER_BYTES,
  transportNonce,
} from '../../wire/wireguard.ts'
import type { Keypair } from './keypair.ts'

const REJECT_AFTER_MS = 180_000
const NO_AD = new Uint8Array(0)

export class LabKeys {
  readonly keypair: Keypair
  readonly createdAt: number
  sendCounter = 0
  readonly #window = new ReplayWindow()

  constructor(keypair: Keypair, now: number) {
    this.keypair = keypair
    this.createdAt = now
  }

  isTooOld(now: number): boolean {
    return now >= this.createdAt + REJECT_AFTER_MS
  }

  seal(packet: Uint8Array): Uint8Array {
    const counter = this.sendCounter++
    const header = encodeTransportHeader({ receiver: this.keypair.remoteIndex, counter })
    return concat(header, nodeCrypto.chachaSeal(this.keypair.sendKey, transportNonce(counter), packet, NO_AD))
  }

  open(datagram: Uint8Array): Uint8Array | undefined {
    const header = decodeTransportHeader(datagram)
    if (!header.ok) return undefined
    const { counter } = header.value
    const sealed = datagram.subarray(TRANSPORT_HEADER_BYTES)
    const packet = nodeCrypto.chachaOpen(this.keypair.receiveKey, transportNonce(counter), sealed, NO_AD)
    return packet !== undefined && this.#window.accept(counter) ? packet : undefined
  }
}

export class LabSlots {
  previous: LabKeys | undefined
  current: LabKeys | undefined
  next: LabKeys | undefined

  add(keys: LabKeys): void {
    if (keys.keypair.slot === 'next') {
      this.next = keys
      this.previous = undefined
    } else {
      this.previous = this.next ?? this.current
      this.next = undefined
      this.current = keys
    }
  }

  confirm(): void {
    this.previous = this.current
    this.current = this.next
    this.next = undefined
  }

  remove(keys: LabKeys): void {
    if (this.previous === keys) this.previous = undefined
    if (this.current === keys) this.current = undefined
    if (this.next === keys) this.next = undefined
  }
}
