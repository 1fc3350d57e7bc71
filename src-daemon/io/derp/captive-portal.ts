/**
 * Is somebody between us and the internet who wants a sign-in page seen first? Asks relay nodes that serve plain HTTP for an
 * empty answer with our challenge in it.                                                              [netcheck.md §2.7]
 *
 * Only nodes of the relay map are asked, not the vendor's hosts: whoever hosts a network decides whom its clients talk to.
 */
import { request } from 'node:http'
import { isIPv4 } from 'node:net'
import type { DerpMap } from '../../../src-contract/control/map.ts'

const START_MS = 200
const ANSWER_MS = 3_000
const MAX_NODES = 5

/** null: nobody could be asked, or nobody answered. */
export async function captivePortal(derpMap: DerpMap, home: number, signal: AbortSignal): Promise<boolean | null> {
  const regions = Object.values(derpMap.Regions ?? {}).filter((r) => r !== null && !r.Avoid && !r.NoMeasureNoHome)
  regions.sort((a, b) => Number(b?.RegionID === home) - Number(a?.RegionID === home))
  const nodes = regions
    .flatMap((region) => region?.Nodes ?? [])
    .filter((node) => node.CanPort80 && isIPv4(node.IPv4 ?? ''))
  if (nodes.length === 0) return null
  await new Promise((resolve) => setTimeout(resolve, START_MS))
  if (signal.aborted) return null
  const answers = await Promise.all(nodes.slice(0, MAX_NODES).map((node) => ask(node.IPv4!, node.HostName, signal)))
  const heard = answers.filter((answer) => answer !== undefined)
  return heard.length === 0 ? null : heard.includes(true)
}

/** true: a portal answered; false: the relay did; undefined: nobody. */
function ask(address: string, hostName: string, signal: AbortSignal): Promise<boolean | undefined> {
  const challenge = `ts_${hostName}`
  return new Promise((resolve) => {
    const asking = request(
      {
        host: address,
        port: 80,
        path: `/generate_204?t=${Math.floor(Date.now() / 1000)}`,
        headers: {
          Host: hostName,
          'Cache-Control': 'no-cache, no-store, must-revalidate, no-transform, max-age=0',
          'X-Tailscale-Challenge': challenge,
        },
        agent: false,
        signal,
        timeout: ANSWER_MS,
      },
      (response) => {
        response.resume()
        resolve(response.statusCode !== 204 || response.headers['x-tailscale-response'] !== `response ${challenge}`)
      },
    )
    asking.on('timeout', () => asking.destroy())
    asking.on('error', () => resolve(undefined)) // cannot be asked: says nothing about a portal
    asking.end()
  })
}
