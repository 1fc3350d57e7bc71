/** Bytes from a connection into a file, no faster than the disk, and never the last of it. [docs/rules/taildrop.md TD-6] */
import { type FileHandle, statfs } from 'node:fs/promises'
import type { Drop } from './port.ts'

/** One write is this large; the next one gathers meanwhile. */
const BATCH_BYTES = 512 << 10
/** What stays free for everybody else: a twentieth of the disk, at most this. */
const MAX_RESERVE_BYTES = 1 << 30
const SPACE_CHECK_BYTES = 64 << 20

export type FillOptions = Pick<Drop, 'offset' | 'body' | 'onProgress'>

/** How far it came; undefined: no room for more. */
export type Filled = { readonly bytes: number; readonly brokeOff: boolean } | undefined

/**
 * One batch is written while the next gathers: at most two are in memory. By events and not by `for await`: that costs
 * several promises a chunk, and leaving it would end the connection on which the answer goes.
 */
export function fill(handle: FileHandle, options: FillOptions, stillRoom: () => Promise<boolean>): Promise<Filled> {
  return new Promise((resolve, reject) => {
    const { body, offset, onProgress } = options
    let bytes = offset
    let written = offset
    let checkAt = offset + SPACE_CHECK_BYTES
    let batch: Uint8Array[] = []
    let isWriting = false
    let end: { readonly brokeOff: boolean } | undefined
    const leave = (): void => {
      body.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken)
      body.on('error', () => {}) // nobody listens any more
      body.pause()
    }
    const write = async (): Promise<void> => {
      const now = batch
      const upTo = bytes
      batch = []
      isWriting = true
      await writeAll(handle, now, written)
      written = upTo
      if (upTo >= checkAt && end === undefined) {
        checkAt = upTo + SPACE_CHECK_BYTES
        if (!(await stillRoom())) {
          leave()
          return resolve(undefined)
        }
      }
      isWriting = false
      follow()
    }
    const follow = (): void => {
      if (isWriting) return
      if (batch.length > 0 && (end !== undefined || bytes - written >= BATCH_BYTES)) {
        write().catch((error) => {
          leave()
          reject(error)
        })
      }
      if (end === undefined) body.resume()
      else if (!isWriting) {
        leave()
        onProgress(bytes)
        resolve({ bytes, brokeOff: end.brokeOff })
      }
    }
    const onData = (chunk: Uint8Array): void => {
      batch.push(chunk)
      bytes += chunk.length
      onProgress(bytes)
      if (bytes - written < BATCH_BYTES) return
      if (isWriting) body.pause()
      else follow()
    }
    const onEnd = (): void => {
      end ??= { brokeOff: false }
      follow()
    }
    const onBroken = (): void => {
      end ??= { brokeOff: true }
      follow()
    }
    body.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken)
    if (body.readableEnded) onEnd()
    else if (body.destroyed) onBroken()
  })
}

async function writeAll(handle: FileHandle, batch: readonly Uint8Array[], position: number): Promise<void> {
  let rest = batch
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, position)
    position += bytesWritten
    rest = behind(rest, bytesWritten)
  }
}

/** What a short write has left. */
function behind(batch: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let skip = bytes
  for (const chunk of batch) {
    if (skip < chunk.length) rest.push(skip === 0 ? chunk : chunk.subarray(skip))
    skip = Math.max(0, skip - chunk.length)
  }
  return rest
}

export async function hasRoom(folder: string, bytes: number): Promise<boolean> {
  const { bavail, blocks, bsize } = await statfs(folder)
  return bavail * bsize - Math.min(MAX_RESERVE_BYTES, (blocks * bsize) / 20) >= bytes
}
