/** `pintail file` against the real LocalAPI of a daemon whose peer is a plain HTTP server. */
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { firstMap, TestDaemon, testNode } from '../src-daemon/localapi/test-daemon.contract-suite.ts'
import { runCli } from './cli.ts'
import type { Terminal } from './verb.ts'
import { pintail } from './verbs.ts'

const CapMap = { 'https://tailscale.com/cap/file-sharing': [] }
const Hostinfo = { OS: 'linux', Services: [{ Proto: 'peerapi4', Port: 5000 }] }
const LastSeen = '2026-03-01T11:00:20Z'

let daemon: TestDaemon
let folder: string
let peer: Server
let answer: RequestListener
/** `PATH BODY` of what the peer got. */
let got: string[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-file-'))
  daemon = await TestDaemon.open()
  got = []
  answer = async (request, response) => {
    if (request.method === 'GET') return void response.end()
    const parts: Buffer[] = []
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part)
    got.push(`${request.url?.slice('/v0/put/'.length)} ${Buffer.concat(parts)}`)
    response.end('{}\n')
  }
  peer = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve))
  daemon.dial = async () => {
    const stream = connect((peer.address() as AddressInfo).port, '127.0.0.1')
    await once(stream, 'connect')
    return { kind: 'connected', stream }
  }
  const Peers = [
    testNode(2, { Name: 'air.example.ts.net.', Hostinfo }),
    testNode(3, { Name: 'far.example.ts.net.', Hostinfo, Online: false, LastSeen }),
    testNode(4, { Name: 'old.example.ts.net.' }),
    testNode(5, { Name: 'hers.example.ts.net.', Hostinfo, User: 2 }),
  ]
  await daemon.join(firstMap({ Node: testNode(1, { CapMap, Name: 'me.example.ts.net.' }), Peers }))
})
afterEach(async () => {
  peer.closeAllConnections()
  peer.close()
  await daemon.close()
  rmSync(folder, { recursive: true, force: true })
})

async function cli(words: string[], more: Partial<Terminal> = {}) {
  const seen = { out: '', err: '' }
  const terminal: Terminal = {
    out: (text) => {
      seen.out += text
    },
    err: (text) => {
      seen.err += text
    },
    draw: (text) => {
      seen.err += text
    },
    env: {},
    uid: 0,
    platform: 'linux',
    interrupted: new AbortController().signal,
    now: () => Date.parse('2026-03-01T12:00:00Z'),
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    confirm: async () => false,
    readFile: async () => '',
    readInput: async () => '',
    openInput: () => Readable.from([]),
    isDrawn: false,
    isInteractive: false,
    localAddresses: () => [],
    resolveHost: async () => [],
    graceMs: 0,
    ...more,
  }
  const code = await runCli([`--socket=${daemon.socketPath}`, 'file', ...words], terminal, pintail)
  return { code, ...seen }
}
function source(name: string, content: string): string {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}
const DONE = { code: 0, out: '', err: '' }
const failed = (err: string) => ({ code: 1, out: '', err: `${err}\n` })

test('[CLI-9] [U4] cp: one file, many, by name and by address, to several devices', async () => {
  const [one, two] = [source('my-file.txt', 'one'), source('naïve #2.txt', 'two')]
  expect(await cli(['cp', one, 'air:'])).toEqual(DONE)
  expect(await cli(['cp', one, two, '100.64.0.2:'])).toEqual(DONE)
  expect(await cli(['cp', one, '[fd7a:115c:a1e0::2]:', 'air.example.ts.net:'])).toEqual(DONE)
  expect(await cli(['cp', '--name=other', source('empty', ''), 'AIR:'])).toEqual(DONE)
  expect(got).toEqual([
    'my-file.txt one',
    'my-file.txt one',
    'na%C3%AFve%20%232.txt two',
    'my-file.txt one',
    'my-file.txt one',
    'other ',
  ])
})

test('[CLI-9] cp: standard input, named or called after what it is', async () => {
  const input = (...parts: Buffer[]) => ({ openInput: () => Readable.from(parts) })
  expect(await cli(['cp', '--name=a.bin', '-', 'air:'], input(Buffer.from('x'), Buffer.from('y')))).toEqual(DONE)
  expect(await cli(['cp', '-', 'air:'], input(Buffer.from('text'), Buffer.from(' more')))).toEqual(DONE)
  expect(await cli(['cp', '-', 'air:'], input(Buffer.from('%PDF-1.7')))).toEqual(DONE)
  expect(await cli(['cp', '-', 'air:'], input(Buffer.from([0, 255])))).toEqual(DONE)
  expect(await cli(['cp', '-', 'air:'], input())).toEqual(DONE)
  expect(
    await cli(['cp', '-', 'air:'], input(...Array.from({ length: 100 }, () => Buffer.alloc(65_536, 'x')))),
  ).toEqual(DONE)
  expect(got.map((text) => text.slice(0, 16))).toEqual([
    'a.bin xy',
    'stdin.txt text m',
    'stdin.pdf %PDF-1',
    'stdin \0\ufffd',
    'stdin.txt ',
    'stdin xxxxxxxxxx',
  ])
  expect(got.at(-1)?.length).toBe('stdin '.length + 6_553_600)
})

test('[CLI-9] [U4] cp: what does not fit is said, and what to do', async () => {
  const file = source('a', 'a')
  expect(await cli(['cp', file])).toEqual(failed('usage: pintail file cp <files...> <target>:'))
  expect(await cli(['cp', file, 'air'])).toEqual(
    failed(`final argument to 'pintail file cp' must end in colon: the device to send to, like "air:"`),
  )
  expect(await cli(['cp', file, 'fd7a:115c:a1e0::2:'])).toEqual(
    failed('an IPv6 literal must be written as [fd7a:115c:a1e0::2]'),
  )
  expect(await cli(['cp', file, '[air]:'])).toEqual(failed('unexpected brackets around target'))
  expect(await cli(['cp', '--name=x', file, file, 'air:'])).toEqual(failed("can't use --name= with multiple files"))
  expect(await cli(['cp', '-', file, 'air:'])).toEqual(failed("can't use '-' as STDIN with multiple files"))
  expect(await cli(['cp', folder, 'air:'])).toEqual(failed('directories not supported: pack them first (tar)'))
  expect(await cli(['cp', join(folder, 'none'), 'air:'])).toEqual(
    failed(`open ${join(folder, 'none')}: no such file or directory`),
  )
  expect((await cli(['cp', file, 'nobody:'])).err).toBe('error looking up IP of "nobody": no such host\n')
  expect(await cli(['cp', file, '100.64.0.99:'])).toEqual(
    failed("can't send to 100.64.0.99: unknown target; not in your Tailnet"),
  )
  expect(await cli(['cp', file, '192.0.2.1:'])).toEqual(
    failed("can't send to 192.0.2.1: unknown target; 192.0.2.1 is not a Tailscale IP address"),
  )
  expect(await cli(['cp', file, 'me:'])).toEqual(failed("can't send to me: that is this device"))
  expect((await cli(['cp', file, 'old:'])).err).toMatch(
    /^can't send to old: cannot send files: the device does not offer/,
  )
  expect((await cli(['cp', file, 'hers:'])).err).toMatch(
    /^can't send to hers: cannot send files: it belongs to somebody/,
  )
  expect(got).toEqual([])
})

test('[CLI-9] cp: a refusal of the peer is shown, and is no advice to use sudo', async () => {
  answer = (request, response) => {
    request.resume()
    if (request.method === 'GET') response.end()
    else response.writeHead(403).end('Taildrop is not open to this device\n')
  }
  expect(await cli(['cp', source('a', 'a'), 'air:'], { uid: 1000 })).toEqual(
    failed('a: Taildrop is not open to this device'),
  )
  daemon.caller = { pid: 1, uid: 1000, gid: 1000 }
  expect((await cli(['cp', source('a', 'a'), 'air:'], { uid: 1000 })).err).toMatch(
    /^Access denied: file-put.*sudo pintail/s,
  )
})

test('[CLI-9] cp: a connection that breaks is tried again and goes on', async () => {
  let tries = 0
  const fine = answer
  answer = (request, response) => {
    if (request.method === 'PUT' && ++tries === 1) request.once('data', () => request.socket.destroy())
    else void fine(request, response)
  }
  const { code, err } = await cli(['cp', '--verbose', source('big', 'x'.repeat(5_000_000)), 'air:'])
  expect([code, tries, got.map((text) => text.length)]).toEqual([0, 2, [5_000_004]])
  expect(err).toMatch(/^sending "big" to air\/n2 ...\nthe connection broke .*\nsent "big"\n$/)
})

test('[CLI-9] cp: on a terminal a line shows how far it is', async () => {
  const { err } = await cli(['cp', '--update-interval=1ms', source('my-file.txt', 'one'), 'air:'], { isDrawn: true })
  expect(err.split('\r\u001b[K').at(-1)).toBe(
    `${'my-file.txt'.padEnd(36)}         3.00B         0.00B/s    100.00%    ETA 00:00:00\n`,
  )
})

test('[CLI-9] cp: as JSON, and the list of targets', async () => {
  const { out } = await cli(['cp', '--json', source('a', 'abc'), 'air:'])
  expect(JSON.parse(out)).toEqual({ Name: 'a', To: 'n2', Size: 3, ElapsedSeconds: 0 })
  expect(await cli(['cp', '--targets'])).toEqual({
    ...DONE,
    out: '100.64.0.2\tair\n100.64.0.3\tfar\toffline; last seen 1h0m0s ago\n',
  })
  const lines = (await cli(['cp', '--targets', '--json'])).out.trim().split('\n')
  expect(lines.map((line) => JSON.parse(line).ID)).toEqual(['n2', 'n3'])
  expect(await cli(['cp', '--targets', 'x'])).toEqual(failed('invalid arguments with --targets'))
})

test('[CLI-9] cp: after three seconds without a byte it says that nobody answers', async () => {
  daemon.dial = (_host, _port, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(
        () => resolve({ kind: 'failed', reason: 'timeout', message: 'no answer in time' }),
        3_500,
      )
      signal.addEventListener('abort', () => clearTimeout(timer))
    })
  expect(await cli(['cp', source('a', 'a'), 'far:'])).toEqual(
    failed('# warning: far is reportedly offline; trying anyway\na: no answer in time'),
  )
})

test('[CLI-9] [TD-9] cp --queue leaves it with the daemon; queue lists and cancels', async () => {
  expect((await cli(['queue'])).out).toBe('No files wait.\n')
  expect(await cli(['cp', '--queue', source('a b', 'abc'), 'far:'])).toEqual({
    ...DONE,
    out: 'a b goes to far when it is there (pintail file queue)\n',
  })
  const [{ ID, Expires } = { ID: '', Expires: '' }] = JSON.parse((await cli(['queue', '--json'])).out)
  const until = Expires.slice(0, 16).replace('T', ' ')
  expect((await cli(['queue'])).out).toBe(
    `${'ID'.padEnd(32)}TO   NAME  SIZE   UNTIL (UTC)       STATE\n${ID}  far  a b   3.00B  ${until}  waiting\n`,
  )
  expect(await cli(['queue', '--cancel=x'])).toEqual(failed('no file with the id "x" waits (pintail file queue)'))
  expect(await cli(['queue', `--cancel=${ID}`])).toEqual(DONE)
  expect((await cli(['queue'])).out).toBe('No files wait.\n')
  const { out } = await cli(['cp', '--queue', '--json', source('c', 'c'), 'air:'])
  expect(JSON.parse(out)).toMatchObject({ Name: 'c', To: 'n2' })
  await expect.poll(() => got).toEqual(['c c'])
})

function arrive(...names: string[]): void {
  const inbox = join(daemon.folder, 'files', 'ada--uid-1')
  mkdirSync(inbox, { recursive: true })
  for (const name of names) writeFileSync(join(inbox, name), `from ${name}`)
}
const here = () => readdirSync(folder).sort()
const waiting = async () => (await daemon.taildrop.inbox.waiting()).map(({ name }) => name)

test('[CLI-9] [U4] get: moves what waits', async () => {
  expect(await cli(['get', folder])).toEqual(DONE)
  expect(await cli(['get', '--verbose', folder])).toEqual({ ...DONE, out: 'moved 0/0 files\n' })
  arrive('a.txt', 'b #1')
  expect(await cli(['get', '--verbose', folder])).toEqual({
    ...DONE,
    out: `wrote a.txt as ${folder}/a.txt (10 bytes)\nwrote b #1 as ${folder}/b #1 (9 bytes)\nmoved 2/2 files\n`,
  })
  expect([here(), await waiting()]).toEqual([['a.txt', 'b #1'], []])
  arrive('c')
  const { out } = await cli(['get', '--json', folder])
  expect(JSON.parse(out)).toEqual({ Name: 'c', Path: join(folder, 'c'), Size: 6 })
})

test('[CLI-9] get: a name that is taken – skip, overwrite, rename', async () => {
  source('a.txt', 'mine')
  arrive('a.txt')
  const skipped = await cli(['get', folder])
  expect([skipped.code, skipped.out, skipped.err]).toEqual([
    1,
    `refusing to overwrite file: ${folder}/a.txt exists\n`,
    'moved 0/1 files\n',
  ])
  expect([here(), await waiting()]).toEqual([['a.txt'], ['a.txt']])
  expect(await cli(['get', '--conflict=rename', folder])).toEqual(DONE)
  expect(readFileSync(join(folder, 'a (1).txt'), 'utf8')).toBe('from a.txt')
  arrive('a.txt')
  expect(await cli(['get', '--conflict=overwrite', folder])).toEqual(DONE)
  expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('from a.txt')
  expect(here()).toEqual(['a (1).txt', 'a.txt'])
  expect((await cli(['get', '--conflict=ask', folder])).code).toBe(2)
})

test('[CLI-9] get: a link in the way is not followed', async () => {
  const secret = source('secret', 'secret')
  symlinkSync(secret, join(folder, 'a'))
  arrive('a')
  expect(await cli(['get', '--conflict=overwrite', folder])).toEqual(DONE)
  expect([readFileSync(secret, 'utf8'), readFileSync(join(folder, 'a'), 'utf8')]).toEqual(['secret', 'from a'])
  symlinkSync(join(folder, 'nowhere'), join(folder, 'b'))
  arrive('b')
  expect((await cli(['get', folder])).code).toBe(1)
  expect(here()).not.toContain('nowhere')
})

test('[CLI-9] get: no folder, no argument, wiping', async () => {
  expect(await cli(['get'])).toEqual(failed('usage: pintail file get <target-directory>'))
  expect(await cli(['get', join(folder, 'none')])).toEqual(failed(`"${join(folder, 'none')}" is not a directory`))
  arrive('a', 'b')
  expect(await cli(['get', '--verbose', '/dev/null'])).toEqual({
    ...DONE,
    out: 'deleting a ...\ndeleting b ...\ndeleted 2 files\n',
  })
  expect(await waiting()).toEqual([])
})

test('[CLI-9] get: --wait until one comes, --loop until it is interrupted', async () => {
  const send = (name: string) =>
    daemon.taildrop.inbox.receive({
      ...{ name, sender: 'n2', offset: 0, length: 1, cut: () => {} },
      body: Readable.from([Buffer.from('x')]),
    })
  let said = ''
  const waits = new Promise<void>((resolve) => {
    const out = (text: string): void => {
      said += text
      if (text.startsWith('waiting')) resolve()
    }
    void cli(['get', '--wait', '--verbose', folder], { out }).then(() => {
      said += 'end'
    })
  })
  await waits
  await send('a')
  await expect.poll(() => said).toBe(`waiting for file...\nwrote a as ${folder}/a (1 bytes)\nmoved 1/1 files\nend`)

  const stop = new AbortController()
  const loop = cli(['get', '--loop', folder], { interrupted: stop.signal })
  for (const name of ['b', 'c']) {
    await send(name)
    await expect.poll(() => here()).toContain(name)
  }
  stop.abort()
  expect((await loop).code).toBe(130)
})
