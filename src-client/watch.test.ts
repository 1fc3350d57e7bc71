import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Notify } from '../src-contract/localapi/notify.ts'
import { followDaemon } from './follow.ts'
import { LocalClient } from './local-client.ts'
import { LineSplitter } from './watch.ts'

let folder: string
let socketPath: string
let client: LocalClient
const closers: (() => void)[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-watch-'))
  socketPath = join(folder, 'd.sock')
  client = new LocalClient({ socketPath })
})
afterEach(async () => {
  client.close()
  for (const close of closers.splice(0)) close()
  await rm(folder, { recursive: true, force: true })
})

async function bus(play: (res: ServerResponse, url: string) => void) {
  const server = createServer((req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders()
    play(res, req.url ?? '')
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  closers.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return server
}

async function collect(options: { maxLineBytes?: number; signal?: AbortSignal } = {}) {
  const seen: Partial<Notify>[] = []
  let code = 'ended'
  try {
    for await (const notify of client.watchBus({ mask: 6, ...options })) seen.push(notify)
  } catch (error) {
    code = (error as { code?: string }).code ?? (error as Error).message
  }
  return { seen, code }
}

test('[LA-6.1] one object per line, however the bytes are cut', async () => {
  const text = '{"State":2}\n{"State":6,"Version":"ü"}\n\n{"SelfChange":{"ID":9007199254740993}}\n'
  await bus((res, url) => {
    expect(url).toBe('/localapi/v0/watch-ipn-bus?mask=6')
    for (const byte of Buffer.from(text)) res.write(Buffer.of(byte))
    res.end()
  })
  expect(await collect()).toEqual({
    seen: [{ State: 2 }, { State: 6, Version: 'ü' }, { SelfChange: { ID: 9007199254740993n } }],
    code: 'ended',
  })
})

test('the watch stands before anything was said', async () => {
  await bus(() => undefined)
  const watch = await client.watch({ mask: 0 })
  watch.close()
})

describe('hostile bus', () => {
  test.each([
    ['not JSON', 'garbage\n', 'bad-reply'],
    ['an array', '[1]\n', 'bad-reply'],
    ['a number', '7\n', 'bad-reply'],
    ['cut at the end', '{"State":2}\n{"Sta', 'bad-reply'],
  ])('%s', async (_name, text, code) => {
    await bus((res) => res.end(text))
    expect((await collect()).code).toBe(code)
  })

  test('a line without end', async () => {
    await bus((res) => {
      res.on('error', () => undefined)
      res.write('{"State":2}\n')
      for (let i = 0; i < 64; i++) res.write('x'.repeat(1024))
    })
    expect(await collect({ maxLineBytes: 10_000 })).toEqual({ seen: [{ State: 2 }], code: 'bad-reply' })
  })

  test('the daemon dies', async () => {
    await bus((res) => {
      res.write('{"State":6}\n')
      setImmediate(() => res.destroy())
    })
    expect(await collect()).toEqual({ seen: [{ State: 6 }], code: 'daemon-unreachable' })
  })

  test('an abort', async () => {
    await bus((res) => res.write('{"State":6}\n'))
    const abort = new AbortController()
    setTimeout(() => abort.abort(new Error('enough')), 20)
    expect(await collect({ signal: abort.signal })).toEqual({ seen: [{ State: 6 }], code: 'enough' })
  })
})

test('random cuts give the same lines', () => {
  const text = Buffer.from(Array.from({ length: 50 }, (_, i) => `line ${i} ${'é'.repeat(i)}\n`).join(''))
  for (let step = 1; step < 40; step++) {
    const splitter = new LineSplitter(1000)
    const lines: string[] = []
    for (let i = 0; i < text.length; i += step) lines.push(...splitter.push(text.subarray(i, i + step)))
    expect(lines.join('\n')).toBe(text.toString().trimEnd())
    expect(splitter.pending).toBe(false)
  }
})

test('following survives the daemon', async () => {
  let connections = 0
  await bus((res) => {
    res.write(`{"State":${connections++ === 0 ? 2 : 6}}\n`)
    if (connections === 1) setImmediate(() => res.destroy())
  })
  const abort = new AbortController()
  const seen: string[] = []
  for await (const event of followDaemon(client, { signal: abort.signal, retryMs: 1 })) {
    seen.push(event.kind === 'change' ? event.mirror.state : event.kind)
    if (seen.length === 5) abort.abort()
  }
  expect(seen).toEqual(['connected', 'NeedsLogin', 'lost', 'connected', 'Running'])
})
