/** Says when links, addresses, routes or routing rules of the host change. Undefined where nothing says so: look now and then instead. */
import { loadAddon } from './addon.ts'

export interface NetworkWatch {
  close(): void
}

export function openNetworkWatch(onChange: () => void): NetworkWatch | undefined {
  const found = loadAddon()
  if (!found.ok) return undefined
  const { addon } = found
  let watch: ReturnType<typeof addon.startNetworkWatch>
  try {
    watch = addon.startNetworkWatch(onChange)
  } catch (error) {
    // A seccomp profile or a namespace without netlink; no descriptor left.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return undefined
  }
  return { close: () => addon.stopNetworkWatch(watch) }
}
