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

/** What comes is written while the next gathers: at most two batches are in memory. */
export async function fill(handle: FileHandle, drop: FillOptions, stillRoom: () => Promise<boolean>): Promise<Filled> {
  let bytes = drop.offset
  let position = drop.offset
  let checkAt = bytes + SPACE_CHECK_BYTES
  let batch: Uint8Array[] = []
  let writing: Promise<unknown> = Promise.resolve()
  const flush = async (): Promise<void> => {
    await writing
    writing = writeAll(handle, batch, position)
    writing.catch(() => {}) // whoever awaits it next hears of it
    position = bytes
    batch = []
  }
  // not `for await`: leaving that would end the connection on which the answer goes
  const chunks = drop.body[Symbol.asyncIterator]()
  let brokeOff = false
  for (;;) {
    const next = await chunks.next().catch(() => undefined)
    brokeOff = next === undefined
    if (next === undefined || next.done === true) break
    batch.push(next.value)
    bytes += next.value.length
    if (bytes - position < BATCH_BYTES) continue
    await flush()
    drop.onProgress(bytes)
    if (bytes < checkAt) continue
    checkAt = bytes + SPACE_CHECK_BYTES
    if (await stillRoom()) continue
    await writing
    return undefined
  }
  await flush()
  await writing
  drop.onProgress(bytes)
  return { bytes, brokeOff }
}

async function writeAll(handle: FileHandle, batch: readonly Uint8Array[], position: number): Promise<void> {
  let rest = Buffer.concat(batch)
  while (rest.length > 0) {
    const { bytesWritten } = await handle.write(rest, 0, rest.length, position)
    position += bytesWritten
    rest = rest.subarray(bytesWritten)
  }
}

export async function hasRoom(folder: string, bytes: number): Promise<boolean> {
  const { bavail, blocks, bsize } = await statfs(folder)
  return bavail * bsize - Math.min(MAX_RESERVE_BYTES, (blocks * bsize) / 20) >= bytes
}
