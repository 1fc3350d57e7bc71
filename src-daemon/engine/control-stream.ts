/**
 * One long poll of the network map: from the request to its end, message by message. Not what messages mean
 * (`machines/netmap.ts`), not when to poll again (`control.ts`).          [control.md §4.1, 4.2, 6.1; CTL-4.2, 4.3, 6.1]
 */
import { constants, zstdDecompress } from 'node:zlib'
import type { MapResponse } from '../../src-contract/control/map.ts'
import { parseMapResponse } from '../../src-protocol/machines/netmap-parse.ts'
import { bad, type Decoded, ok } from '../../src-protocol/wire/decoded.ts'
import { parseJson } from '../../src-protocol/wire/json.ts'
import { MapMessageReader } from '../../src-protocol/wire/map-framing.ts'
import { parseUtf8 } from '../../src-protocol/wire/text.ts'
import { ControlError, type ControlTransport } from '../io/control/port.ts'

export const WATCHDOG_MS = 120_000
const MAX_MESSAGE_BYTES = 64 << 20
const MAX_JSON_BYTES = 256 << 20
/** Frames ask for a window; this bounds what an honest netmap needs. */
const MAX_WINDOW_LOG = 27
const ZSTD_MAGIC = 0xfd2fb528
const SHOWN_BYTES = 200

export type StreamEnd =
  /** The server closed in order. */
  | { readonly kind: 'ended' }
  /** It did not let us in. */
  | {
      readonly kind: 'status'
      readonly status: number
      readonly text: string
      readonly retryAfterMs: number | undefined
    }

export interface MapPoll {
  readonly transport: ControlTransport
  /** The MapRequest. */
  readonly body: string
  readonly signal: AbortSignal
  readonly watchdogMs?: number
  /** Awaited: the next message is not looked at before. */
  onMessage(message: MapResponse): void | Promise<void>
}

/** Throws ControlError when the connection or the stream breaks, and the signal's reason. */
export async function pollMap(poll: MapPoll): Promise<StreamEnd> {
  const watchdog = new Watchdog(poll.watchdogMs ?? WATCHDOG_MS)
  const signal = AbortSignal.any([poll.signal, watchdog.signal])
  try {
    const response = await poll.transport.request({ method: 'POST', path: '/machine/map', body: poll.body, signal })
    const { status, retryAfterMs } = response
    if (status !== 200) return { kind: 'status', status, text: await response.text(SHOWN_BYTES), retryAfterMs }
    const reader = new MapMessageReader(MAX_MESSAGE_BYTES)
    for await (const chunk of response.body) {
      const messages = reader.push(chunk as Buffer)
      if (!messages.ok) throw new ControlError('other', `the map stream is damaged (${messages.reason})`)
      for (const bytes of messages.value) {
        const message = await decodeMapMessage(bytes)
        if (!message.ok) throw new ControlError('other', `a map message is damaged (${message.reason})`)
        watchdog.pause()
        await poll.onMessage(message.value)
        poll.signal.throwIfAborted()
        watchdog.restart()
      }
    }
    return { kind: 'ended' }
  } catch (error) {
    poll.signal.throwIfAborted()
    throw watchdog.signal.aborted ? watchdog.signal.reason : asControlError(error)
  } finally {
    watchdog.pause()
  }
}

function asControlError(error: unknown): ControlError {
  return error instanceof ControlError ? error : new ControlError('unreachable', 'the map stream broke off', error)
}

/** Whole message → value: zstd, or plain JSON from servers that do not compress. */
export async function decodeMapMessage(bytes: Uint8Array): Promise<Decoded<MapResponse>> {
  const isZstd = bytes.length >= 4 && Buffer.from(bytes.buffer, bytes.byteOffset, 4).readUInt32LE() === ZSTD_MAGIC
  const plain = isZstd ? await decompress(bytes) : ok(bytes)
  if (!plain.ok) return plain
  const text = parseUtf8(plain.value)
  if (!text.ok) return text
  const json = parseJson(text.value)
  return json.ok ? parseMapResponse(json.value) : json
}

function decompress(bytes: Uint8Array): Promise<Decoded<Uint8Array>> {
  const { promise, resolve } = Promise.withResolvers<Decoded<Uint8Array>>()
  const options = { maxOutputLength: MAX_JSON_BYTES, params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } }
  zstdDecompress(bytes, options, (error, plain) => resolve(error === null ? ok(plain) : bad('map-zstd')))
  return promise
}

class Watchdog {
  readonly #ms: number
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number) {
    this.#ms = ms
    this.restart()
  }
  get signal(): AbortSignal {
    return this.#controller.signal
  }
  restart(): void {
    this.pause()
    const bark = (): void => this.#controller.abort(new ControlError('unreachable', 'the map stream went silent'))
    this.#timer = setTimeout(bark, this.#ms)
  }
  pause(): void {
    clearTimeout(this.#timer)
  }
}
