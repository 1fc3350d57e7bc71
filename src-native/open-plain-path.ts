/**
 * The data path of a plain WireGuard device: crypto-key routing and nothing else – no packet filter, no TSMP, every
 * protocol, and a peer's packets come from addresses that are routed back to it. The twin, told so; Linux only, with the addon.
 *
 * Slots hold whatever an interface can carry, because its MTU may be raised while we run.
 */
import { requireAddon } from './addon.ts'
import { addonAead, nodeAead } from './aead.ts'
import type { DataPath, DoorEvent } from './door.ts'
import { slotBytesFor } from './slots.ts'
import { Tun } from './tun.ts'
import { openTwin } from './twin.ts'
import { openAddonUdp } from './udp-addon.ts'

const LARGEST_PACKET_BYTES = 65_535

export interface PlainPath {
  readonly path: DataPath
  /** For the sockets of the next `rebind`. */
  setFwmark(mark: number): void
  /** The interface has another MTU: padding goes up to it. */
  setMtu(mtuBytes: number): void
}

export async function openPlainPath(options: {
  readonly tunName: string
  readonly mtuBytes: number
  readonly onEvents: (events: DoorEvent[]) => void
}): Promise<PlainPath> {
  const { tunName, onEvents } = options
  const addon = requireAddon(`the interface ${tunName}`)
  const slotBytes = slotBytesFor(LARGEST_PACKET_BYTES)
  let mark = 0
  let mtuBytes = options.mtuBytes
  const path = await openTwin(
    {
      tunName,
      get mtuBytes() {
        return mtuBytes
      },
      udpPort: 0,
      fwmark: 0,
      onEvents,
    },
    {
      aead: addonAead(addon) ?? nodeAead,
      isPlain: true,
      nowMs: () => performance.now(),
      openUdp: (port, handlers) => openAddonUdp(addon, { port, mark, slotBytes }, handlers),
      openTun: (handlers) => new Tun(addon, tunName, mtuBytes, slotBytes, handlers),
    },
  )
  return {
    path,
    setFwmark(next) {
      mark = next
    },
    setMtu(next) {
      mtuBytes = next
    },
  }
}
