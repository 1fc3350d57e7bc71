/**
 * What the native data path has to say: records in one buffer (`addon/datapath/up.h`) → events of the door.
 *
 *   0 u32 length of the record · 4 u8 kind · 5 u8 flags · 8 f64 peer · 16 u32 local index · 20 28 address
 *  48 f64 counter · 56 u32 length of the bytes · 60 bytes · padding to 8
 *
 * Byte arrays in the events are copies: packets wait for handshakes and relays, and must not keep megabytes of others alive.
 */
import { getSystemErrorName } from 'node:util'
import type { Activity, DoorEvent } from './door.ts'
import { addressOfSocket } from './slots.ts'

const HEAD_BYTES = 60

/** Order of `UpKind`. */
const KINDS = [
  undefined,
  'activity',
  'confirmed',
  'datagram',
  'toRelay',
  'noSession',
  'tsmp',
  'echoReply',
  'local',
  'sendFailed',
  'hostTrouble',
] as const

/** What stays below the door: the interface refused something, look how it is. */
export interface HostTrouble {
  readonly kind: 'hostTrouble'
}

export function readEvents(buffer: ArrayBuffer): (DoorEvent | HostTrouble)[] {
  const view = new DataView(buffer)
  const events: (DoorEvent | HostTrouble)[] = []
  for (let at = 0; at + HEAD_BYTES <= buffer.byteLength; at += view.getUint32(at, true)) {
    const event = readRecord(buffer, view, at)
    if (event !== undefined) events.push(event)
  }
  return events
}

function readRecord(buffer: ArrayBuffer, view: DataView, at: number): DoorEvent | HostTrouble | undefined {
  const kind = KINDS[view.getUint8(at + 4)]
  const peer = view.getFloat64(at + 8, true)
  const localIndex = view.getUint32(at + 16, true)
  const from = () => addressOfSocket(new Uint8Array(buffer, at + 20, 28))
  const bytes = () => new Uint8Array(buffer, at + HEAD_BYTES, view.getUint32(at + 56, true)).slice()
  switch (kind) {
    case 'activity': {
      const flags = view.getUint8(at + 5)
      return {
        kind,
        peer,
        localIndex,
        sentData: (flags & 1) !== 0,
        sentAny: (flags & 2) !== 0,
        receivedData: (flags & 4) !== 0,
        receivedAny: (flags & 8) !== 0,
        sendCounter: view.getFloat64(at + 48, true),
        from: heardFrom(flags >> 4, from),
      }
    }
    case 'confirmed':
      return { kind, peer, localIndex }
    case 'datagram':
      return { kind, from: from(), bytes: bytes() }
    case 'toRelay':
      return { kind, peer, bytes: bytes() }
    case 'noSession':
    case 'tsmp':
    case 'echoReply':
      return { kind, peer, packet: bytes() }
    case 'local':
      return { kind, peer: peer < 0 ? undefined : peer, packet: bytes() }
    case 'sendFailed':
      return { kind, to: from(), code: getSystemErrorName(-localIndex) }
    case 'hostTrouble':
      return { kind }
    default:
      return undefined
  }
}

function heardFrom(where: number, address: () => Activity['from']): Activity['from'] {
  return where === 1 ? address() : where === 2 ? 'relay' : undefined
}
