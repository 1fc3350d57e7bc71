/**
 * Is somebody between us and the internet who wants a sign-in page seen first? Asks relay nodes that serve plain HTTP for an
 * empty answer with our challenge in it.                                                              [netcheck.md §2.7]
 *
 * Only nodes of the relay map are asked, not the vendor's hosts: whoever hosts a network decides whom its clients talk to.
 * Asked once, over the default route; stock asks over every interface, and so reports portals of networks not in use.
 */
import { request } from 'node:http'
import { isIPv4 } from 'node:net'
import type { DerpMap } from '../../../src-contract/control/map.ts'
import { connectTo } from '../past-tunnel.ts'
import type { DialOptions } from './dial.ts'

const START_MS = 200
const ANSWER_MS = 3_000
const MAX_NODES = 5
const HTTP_PORT = 80

export interface PortalOptions extends DialOptions {
  /** For tests, which may not listen on port 80. */
  readonly port?: number
}

/** null: nobody could be asked, or nobody answered. */
export async function captivePortal(derpMap: DerpMap, home: number, options: PortalOptions): Promise<boolean | null> {
  const regions = Object.values(derpMap.Regions ?? {}).filter((r) => r !== null && !r.Avoid && !r.NoMeasureNoHome)
  regions.sort((a, b) => Number(b?.RegionID === home) - Number(a?.RegionID === home))
  const nodes = regions
    .flatMap((region) => region?.Nodes ?? [])
    .filter((node) => node.CanPort80 && isIPv4(node.IPv4 ?? ''))
  if (nodes.length === 0) return null
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, START_MS)
    options.signal.addEventListener('abort', done)
    function done() {
      clearTimeout(timer)
      options.signal.removeEventListener('abort', done)
      resolve()
    }
  })
  if (options.signal.aborted) return null
  const answers = await Promise.all(nodes.slice(0, MAX_NODES).map((node) => ask(node.IPv4!, node.HostName, options)))
  const heard = answers.filter((answer) => answer !== undefined)
  return heard.length === 0 ? null : heard.includes(true)
}

/** true: a portal answered; false: the relay did; undefined: nobody. */
async function ask(address: string, hostName: string, options: PortalOptions): Promise<boolean | undefined> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(ANSWER_MS)])
  const challenge = `ts_${hostName}`
  const headers = {
    Host: hostName,
    'Cache-Control': 'no-cache, no-store, must-revalidate, no-transform, max-age=0',
    'X-Tailscale-Challenge': challenge,
  }
  const path = `/generate_204?t=${Math.floor(Date.now() / 1000)}`
  try {
    const socket = await connectTo(
      { host: address, family: 4, port: options.port ?? HTTP_PORT },
      { fwmark: options.fwmark, signal },
    )
    return await new Promise((resolve, reject) => {
      const asking = request({ path, headers, signal, createConnection: () => socket }, (response) => {
        resolve(response.statusCode !== 204 || response.headers['x-tailscale-response'] !== `response ${challenge}`)
        socket.destroy()
      })
      asking.on('error', reject)
      asking.end()
    })
  } catch {
    return undefined // cannot be asked: says nothing about a portal
  }
}
