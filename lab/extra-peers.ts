/**
 * Preloaded into our server (`--import`): adds to each full map what a file says for that viewer. For peers that no member
 * registers, such as plain WireGuard gateways that a provider runs. The rest of the server is as it is.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { MapResponse, Node } from '../src-contract/control/map.ts'
import { Maps } from '../src-server/mapper/maps.ts'

export interface ExtraPeers {
  /** By the viewer's name. */
  readonly peers: { readonly [viewer: string]: readonly Node[] }
  /** Where the relays are, for everybody. */
  readonly place?: { readonly Latitude: number; readonly Longitude: number }
}

const file = process.env.LAB_EXTRA_PEERS ?? ''
// called on the instance, as the original is
const plain = Maps.prototype.fullText
Maps.prototype.fullText = function fullText(viewer) {
  const text = plain.call(this, viewer)
  if (!existsSync(file)) return text
  const { peers, place = {} } = JSON.parse(readFileSync(file, 'utf8')) as ExtraPeers
  const map = JSON.parse(text) as MapResponse
  for (const region of Object.values(map.DERPMap?.Regions ?? {})) if (region !== null) Object.assign(region, place)
  return JSON.stringify({ ...map, Peers: [...(map.Peers ?? []), ...(peers[viewer.givenName] ?? [])] })
}
