/** Standard input as a file: without a name of its own it is called after what it seems to be. */
import { PassThrough, type Readable } from 'node:stream'

/** A stock command line looks at as much before it says that something is text. */
const TEXT_LOOK_BYTES = 4 << 20
const ENDINGS: readonly (readonly [ending: string, start: Buffer])[] = [
  ['.png', Buffer.from('\x89PNG\r\n', 'latin1')],
  ['.jpg', Buffer.from('\xff\xd8\xff', 'latin1')],
  ['.gif', Buffer.from('GIF8')],
  ['.pdf', Buffer.from('%PDF-')],
  ['.zip', Buffer.from('PK\x03\x04', 'latin1')],
  ['.gz', Buffer.from('\x1f\x8b', 'latin1')],
]

export interface NamedInput {
  readonly name: string
  /** Known when all of it was looked at. */
  readonly size: number | undefined
  readonly body: Readable
}

export async function openNamedInput(input: Readable, name: string): Promise<NamedInput> {
  if (name !== '') return { name, size: undefined, body: input }
  const parts: Buffer[] = []
  let size = 0
  const chunks = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let isEnd = false
  while (!isEnd && size < TEXT_LOOK_BYTES) {
    const next = await chunks.next()
    isEnd = next.done === true
    if (isEnd) break
    parts.push(Buffer.from(next.value))
    size += next.value.length
  }
  const head = Buffer.concat(parts)
  const body = new PassThrough()
  void pump(head, isEnd ? undefined : chunks, body)
  return { name: `stdin${endingOf(head, isEnd)}`, size: isEnd ? size : undefined, body }
}

function endingOf(head: Buffer, isAll: boolean): string {
  const known = ENDINGS.find(([, start]) => head.subarray(0, start.length).equals(start))
  if (known !== undefined) return known[0]
  if (!isAll || head.includes(0)) return ''
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(head)
    return '.txt'
  } catch {
    return ''
  }
}

async function pump(head: Buffer, rest: AsyncIterator<Buffer> | undefined, body: PassThrough): Promise<void> {
  let wake = (): void => {}
  body.on('drain', () => wake()).on('close', () => wake())
  const put = async (chunk: Buffer): Promise<void> => {
    if (body.destroyed || body.write(chunk)) return
    await new Promise<void>((resolve) => {
      wake = resolve
    })
  }
  try {
    if (head.length > 0) await put(head)
    for (let next = await rest?.next(); next !== undefined && next.done !== true && !body.destroyed; ) {
      await put(next.value)
      next = await rest?.next()
    }
    body.end()
  } catch (error) {
    body.destroy(error instanceof Error ? error : new Error(String(error)))
  }
}
