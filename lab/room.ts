/** Rooms of the laboratory: small networks that machines are plugged into beside what they have, and a page to find in them. */
import { join } from 'node:path'
import { Host, ip } from './host.ts'

let count = 0
/** Several laboratories may exist in one sandbox. */
export const unique = (name: string): string => `${name}-${process.pid}-o${++count}`

/** A network of its own: a bridge to plug machines into. */
export async function room(name: string, folder: string): Promise<Host> {
  const host = await Host.create(unique(name), folder)
  await ip(
    `-n ${host.name} link add br0 type bridge forward_delay 0 mcast_snooping 0`,
    `-n ${host.name} link set br0 up`,
  )
  return host
}

/** Gives a machine an interface in a room. */
export async function plug(host: Host, device: string, into: Host, address: string): Promise<void> {
  const port = `p${++count}`
  await ip(
    `link add ${device} netns ${host.name} type veth peer name ${port} netns ${into.name}`,
    `-n ${into.name} link set ${port} master br0 up`,
    `-n ${host.name} link set ${device} up`,
    `-n ${host.name} addr add ${address} dev ${device}`,
  )
}

/** A web page that says whose it is, and who asks. */
export async function servePage(host: Host, name: string): Promise<void> {
  const child = host.start(process.execPath, [join(import.meta.dirname, 'page.ts'), name])
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    child.once('close', (code) => reject(new Error(`the page of ${name} ended with ${code}`)))
  })
}
