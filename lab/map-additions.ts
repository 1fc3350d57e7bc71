/**
 * Preloaded into our server (`--import`): adds to each full map what a file says. For peers that no member registers, such
 * as plain WireGuard gateways that a provider runs, and for what relays of others can do. The rest of the server is as it is.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { DerpNode, DerpRegion, MapResponse, Node } from '../src-contract/control/map.ts'
import { Maps } from '../src-server/mapper/maps.ts'

export interface MapAdditions {
  /** By the viewer's name. */
  readonly peers?: { readonly [viewer: string]: readonly Node[] }
  /** To each relay region, and to each relay, for everybody. */
  readonly region?: Partial<DerpRegion>
  readonly relay?: Partial<DerpNode>
}

const file = process.env.LAB_MAP_ADDITIONS ?? ''
// called on the instance, as the original is
const plain = Maps.prototype.fullText
Maps.prototype.fullText = function fullText(viewer) {
  const text = plain.call(this, viewer)
  if (!existsSync(file)) return text
  const { peers = {}, region, relay } = JSON.parse(readFileSync(file, 'utf8')) as MapAdditions
  const map = JSON.parse(text) as MapResponse
  for (const one of Object.values(map.DERPMap?.Regions ?? {})) {
    Object.assign(one ?? {}, region)
    for (const node of one?.Nodes ?? []) Object.assign(node, relay)
  }
  return JSON.stringify({ ...map, Peers: [...(map.Peers ?? []), ...(peers[viewer.givenName] ?? [])] })
}
