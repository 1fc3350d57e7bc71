/** `/v0/put/` of the PeerAPI: peers ask what we have of their files, and send them. [features.md §2; docs/rules/taildrop.md TD-2 … TD-5] */
import { encodeBlock, parseRange } from '../../../src-protocol/machines/taildrop/block-hashes.ts'
import { parseEscapedName } from '../../../src-protocol/machines/taildrop/file-name.ts'
import { maySendToUs } from '../../../src-protocol/machines/taildrop/who-may.ts'
import { plain } from '../../io/peerapi/listener.ts'
import type { PeerApiReply } from '../../io/peerapi/port.ts'
import { peerCapabilities } from '../peer-capabilities.ts'
import type { PeerApiCall, PeerApiRoute } from '../peerapi/peer-api.ts'
import type { Inbox, InboxResult } from './inbox.ts'

const PATH = '/v0/put/'
/** A sender may have to wait for its own source. */
const SILENCE_MS = 300_000

export function putRoute(inbox: Inbox): PeerApiRoute {
  return { path: PATH, answer: (call) => answer(inbox, call) }
}

async function answer(inbox: Inbox, { peer, view, request }: PeerApiCall): Promise<PeerApiReply> {
  const granted = peerCapabilities(view.netmap, view.shieldsUp, request.remoteAddress)
  if (view.shieldsUp || !maySendToUs(view.netmap.self, peer, granted)) {
    return plain(
      403,
      'Taildrop is not open to this device: it belongs to somebody else, has a tag, or it is switched off',
    )
  }
  const escaped = request.path.slice(PATH.length)
  const sender = peer.StableID
  if (request.method === 'GET' && escaped === '') return json(await inbox.begun(sender))
  const name = parseEscapedName(escaped)
  if (!name.ok) return plain(400, 'invalid filename')
  switch (request.method) {
    case 'GET':
      return { status: 200, contentType: 'application/json', body: lines(inbox, name.value, sender) }
    case 'PUT':
      return put(inbox, { peer, view, request }, name.value)
    default:
      return plain(405, 'expected method GET or PUT')
  }
}

async function put(inbox: Inbox, { peer, request }: PeerApiCall, name: string): Promise<PeerApiReply> {
  const { range, 'content-length': length } = request.headers
  const offset = parseRange(typeof range === 'string' ? range : undefined)
  if (!offset.ok) return plain(400, 'invalid range: one open-ended range is possible')
  request.allowSilence(SILENCE_MS)
  const result = await inbox.receive({
    name,
    sender: peer.StableID,
    offset: offset.value,
    length: typeof length === 'string' ? Number(length) : undefined,
    body: request.body,
    cut: request.cut,
  })
  return replyTo(result)
}

function replyTo(result: InboxResult): PeerApiReply {
  switch (result.kind) {
    case 'done':
      return json({})
    case 'busy':
      return plain(409, 'file already exists: it is being sent right now')
    case 'off':
      return plain(403, 'Taildrop is not ready')
    case 'beyond-end':
      return plain(416, `there are only ${result.bytes} bytes of it`)
    case 'no-space':
      return plain(507, 'not enough space on the receiving device')
    case 'short':
      return plain(500, `unexpected end after ${result.bytes} bytes; send again to go on`)
    case 'no-name-left':
      return plain(409, 'there are too many files with this name')
    case 'failed':
      return plain(500, 'the receiving device could not store the file') // why is in its log
  }
}

async function* lines(inbox: Inbox, name: string, sender: string): AsyncIterable<Uint8Array> {
  for await (const block of inbox.blocks(name, sender)) yield Buffer.from(encodeBlock(block))
}

function json(value: unknown): PeerApiReply {
  return { status: 200, contentType: 'application/json', body: Buffer.from(`${JSON.stringify(value)}\n`) }
}
