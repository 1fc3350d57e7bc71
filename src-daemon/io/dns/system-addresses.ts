/** Addresses of a name as programs of this machine get them, from whatever the system asks. */
import { lookup } from 'node:dns/promises'
import type { IpText } from '../../../src-contract/ids.ts'
import { ipText, parseIp } from '../../../src-protocol/wire/ip.ts'

export async function systemAddresses(name: string): Promise<IpText[]> {
  const found = await lookup(name, { all: true }).catch(() => []) // "no such name" and "no server" look the same from here
  return found.flatMap(({ address }) => {
    const ip = parseIp(address)
    return ip.ok ? [ipText(ip.value)] : []
  })
}
