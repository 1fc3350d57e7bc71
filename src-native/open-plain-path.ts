/**
 * The data path of a plain WireGuard device: crypto-key routing and nothing else – no packet filter, no TSMP, every
 * protocol, a peer's packets come from addresses that are routed back to it, and its direct address is where its last
 * authentic datagram came from. Either data path, told so, with the knobs of `open-data-path.ts`; Linux only, with the addon.
 *
 * The twin's slots hold whatever an interface can carry, because its MTU may be raised while we run.
 */
import { type Addon, requireAddon } from './addon.ts'
import { addonAead, nodeAead } from './aead.ts'
import type { DataPath, DataPathOptions, DoorEvent } from './door.ts'
import { type NativeOptions, openNative } from './native.ts'
import { chooseDataPath, type DataPathKnobs, dataPathKnobs } from './open-data-path.ts'
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
  /** Reports of traffic wait a moment for more; for who wants to know now. */
  deliver(): void
}

export interface PlainPathOptions {
  /** Interface to create; undefined for none (tests). */
  readonly tunName: string | undefined
  readonly mtuBytes: number
  readonly onEvents: (events: DoorEvent[]) => void
}

export async function openPlainPath(
  { tunName, mtuBytes: firstMtu, onEvents }: PlainPathOptions,
  knobs: DataPathKnobs = dataPathKnobs(process.env),
): Promise<PlainPath> {
  const addon = requireAddon(`the interface ${tunName}`)
  let fwmark = 0
  let mtuBytes = firstMtu
  const options: NativeOptions = {
    tunName,
    get mtuBytes() {
      return mtuBytes
    },
    udpPort: 0,
    get fwmark() {
      return fwmark
    },
    onEvents,
    aead: knobs.aead ?? '',
    isPlain: true,
  }
  const chosen = chooseDataPath({ ok: true, addon }, knobs)
  const setFwmark = (next: number) => {
    fwmark = next
  }
  if (chosen.native === undefined) {
    const path = await openPlainTwin(addon, options, chosen.whyNotNative)
    const setMtu = (next: number) => {
      mtuBytes = next
    }
    return { path, setFwmark, setMtu, deliver() {} } // never waits
  }
  const path = await openNative(addon, options)
  return { path, setFwmark, setMtu: (next) => path.setMtu(next), deliver: () => path.deliver() }
}

function openPlainTwin(addon: Addon, options: DataPathOptions, whyNotNative: string | undefined): Promise<DataPath> {
  const { tunName } = options
  const slotBytes = slotBytesFor(LARGEST_PACKET_BYTES)
  return openTwin(options, {
    aead: addonAead(addon) ?? nodeAead,
    isPlain: true,
    whyNotNative,
    nowMs: () => performance.now(),
    openUdp: (port, handlers) => openAddonUdp(addon, { port, mark: options.fwmark, slotBytes }, handlers),
    openTun:
      tunName === undefined ? undefined : (handlers) => new Tun(addon, tunName, options.mtuBytes, slotBytes, handlers),
  })
}
