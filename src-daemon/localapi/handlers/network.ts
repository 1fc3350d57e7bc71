/** What clients ask about the network: ping, relays, who is who. [docs/rules/localapi.md LA-7] */

import type { Node } from '../../../src-contract/control/map.ts'
import { idText } from '../../../src-contract/ids.ts'
import type { PingType, WhoIs } from '../../../src-contract/localapi/ping.ts'
import type { Backend } from '../../engine/backend.ts'
import { addressForWhois, findNodeById, findNodeForWhois } from '../../engine/find-node.ts'
import { nodeAddresses } from '../../engine/node-text.ts'
import { peerCapabilities } from '../../engine/peer-capabilities.ts'
import { indentedJson, json, jsonError, plainError, type Reply } from '../reply.ts'
import type { ApiRequest, RouteTable } from '../request.ts'

const PING_TYPES: readonly PingType[] = ['disco', 'TSMP', 'ICMP', 'peerapi']
const MAX_PING_BYTES = 65_475

export function networkRoutes(backend: Backend): RouteTable {
  return {
    ping: { POST: { needs: 'nothing', handle: (request) => ping(backend, request) } },
    derpmap: { GET: { needs: 'nothing', handle: () => json(backend.derpMap ?? null) } },
    whois: { GET: { needs: 'read', handle: (request) => whois(backend, request) } },
    'peer-by-id': { GET: { needs: 'read', handle: (request) => peerById(backend, request) } },
    'user-profile': { GET: { needs: 'read', handle: (request) => userProfile(backend, request) } },
    'suggest-exit-node': {
      GET: { needs: 'nothing', handle: () => suggestExitNode(backend) },
      POST: { needs: 'nothing', handle: () => suggestExitNode(backend) },
    },
  }
}

async function ping(backend: Backend, request: ApiRequest): Promise<Reply> {
  const address = request.query.get('ip') ?? ''
  const type = request.query.get('type') ?? ''
  const size = request.query.get('size') ?? '0'
  if (address === '') return plainError(400, "missing 'ip' parameter")
  if (!isPingType(type)) return plainError(400, type === '' ? "missing 'type' parameter" : "invalid 'type' parameter")
  if (!/^\d{1,6}$/.test(size) || Number(size) > MAX_PING_BYTES) return plainError(400, "invalid 'size' parameter")
  if (size !== '0' && type !== 'disco') return plainError(400, "'size' parameter is only supported with disco pings")
  try {
    return json(await backend.ping({ address, type, sizeBytes: Number(size), signal: request.signal }))
  } catch (error) {
    return jsonError(error instanceof Error ? error.message : String(error))
  }
}

function isPingType(text: string): text is PingType {
  return (PING_TYPES as readonly string[]).includes(text)
}

function whois(backend: Backend, { query }: ApiRequest): Reply {
  const text = query.get('addr') ?? ''
  if (text === '') return plainError(400, "missing 'addr' parameter")
  const { netmap } = backend
  const node = netmap === undefined ? undefined : findNodeForWhois(netmap, text)
  if (netmap === undefined || node === undefined) return plainError(404, 'no match for IP:port')
  const profile = netmap.userProfiles.get(idText(node.User))
  const source = addressForWhois(text) ?? nodeAddresses(node)[0]
  const reply: WhoIs = {
    Node: node,
    UserProfile: profile ?? { ID: node.User, LoginName: '', DisplayName: '' },
    CapMap: source === undefined ? null : peerCapabilities(netmap, backend.prefs.ShieldsUp, source),
  }
  return indentedJson(reply)
}

function peerById(backend: Backend, { query }: ApiRequest): Reply {
  const text = query.get('id') ?? ''
  if (!/^\d{1,19}$/.test(text)) return plainError(400, "invalid 'id' parameter")
  const node: Node | undefined = backend.netmap === undefined ? undefined : findNodeById(backend.netmap, BigInt(text))
  return node === undefined ? plainError(404, 'no such node') : json(node)
}

function userProfile(backend: Backend, { query }: ApiRequest): Reply {
  const text = query.get('id') ?? ''
  if (!/^\d{1,19}$/.test(text)) return plainError(400, "invalid 'id' parameter")
  const profile = backend.netmap?.userProfiles.get(text)
  return profile === undefined ? plainError(404, 'no such user') : json(profile)
}

function suggestExitNode(backend: Backend): Reply {
  const suggestion = backend.suggestExitNode()
  if (suggestion === undefined) return jsonError('no netmap, try again later')
  if (suggestion.kind === 'later') return jsonError('no preferred DERP, try again later')
  if (suggestion.kind === 'nobody') return json({ ID: '', Name: '' })
  const { StableID, Name, Hostinfo } = suggestion.node
  return json({ ID: StableID, Name, ...(Hostinfo?.Location ? { Location: Hostinfo.Location } : {}) })
}
