/** Chooses and opens the data path. `prefer` is a knob; the native one does not exist yet, so both mean the twin. */
import { loadAddon, requireAddon } from './addon.ts'
import { addonAead, nodeAead } from './aead.ts'
import type { DataPath, DataPathOptions } from './door.ts'
import { slotBytesFor } from './slots.ts'
import { Tun } from './tun.ts'
import { openTwin } from './twin.ts'
import { openAddonUdp } from './udp-addon.ts'
import { openDgramUdp } from './udp-dgram.ts'

export async function openDataPath(
  options: DataPathOptions & { readonly prefer?: 'native' | 'twin' },
): Promise<DataPath> {
  const { tunName, mtuBytes, fwmark } = options
  const slotBytes = slotBytesFor(mtuBytes)
  const found = loadAddon()
  const addon = tunName === undefined ? undefined : requireAddon(`the interface ${tunName}`)
  return openTwin(options, {
    aead: (found.ok && addonAead(found.addon)) || nodeAead,
    nowMs: () => performance.now(),
    openUdp: (port, handlers) =>
      found.ok
        ? openAddonUdp(found.addon, { port, mark: fwmark, slotBytes }, handlers)
        : openDgramUdp({ port, mark: fwmark, slotBytes }, handlers),
    openTun:
      addon === undefined || tunName === undefined
        ? undefined
        : (handlers) => new Tun(addon, tunName, mtuBytes, slotBytes, handlers),
  })
}
