/**
 * The host's interfaces and their addresses. Asking takes a descriptor; where there is none left, or the system refuses
 * for another reason, the answer is what was seen last.
 */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

export type HostInterfaces = { readonly [name: string]: readonly NetworkInterfaceInfo[] | undefined }

let seen: HostInterfaces = {}

export function hostInterfaces(): HostInterfaces {
  try {
    seen = networkInterfaces()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SYSTEM_ERROR') throw error
  }
  return seen
}
