/** The control client against a scripted server: every answer is chosen, sockets, Noise and HTTP/2 are real. */
import { once } from 'node:events'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { MapRequest, MapResponse } from '../../src-contract/control/map.ts'
import type { RegisterRequest, RegisterResponse } from '../../src-contract/control/register.ts'
import type { DiscoKeyText, IpPort } from '../../src-contract/ids.ts'
import { nodeCrypto } from '../../src-protocol/crypto/node-crypto.ts'
import type { Netmap, NetmapDelta } from '../../src-protocol/machines/netmap.ts'
import { toBase64 } from '../../src-protocol/wire/bytes.ts'
import { nodeKeyText, Secret, ZERO_NODE_KEY } from '../../src-protocol/wire/keys.ts'
import { encodeMapMessage, storedZstdFrame } from '../../src-protocol/wire/map-framing.ts'
import { utf8 } from '../../src-protocol/wire/text.ts'
import { TestControlServer } from '../io/control/test-control-server.lab.ts'
import { silentLog } from '../io/log/log.ts'
import { ControlClient, type ControlIo } from './control.ts'
import { answerC2n } from './control-ping.ts'
import type { ControlOptions, ControlProblem, NodeFacts } from './control-port.ts'

const nodePrivate = nodeCrypto.newPrivateKey()
const nodeKey = nodeKeyText(nodeCrypto.x25519PublicKey(nodePrivate))
const discoKey = `discokey:${'d'.repeat(64)}` as DiscoKeyText
const facts: NodeFacts = { hostinfo: { Hostname: 'box' }, endpoints: [], discoKey }
const authorized: RegisterResponse = {
  User: { ID: 1, DisplayName: 'Alice' },
  Login: { ID: 1, Provider: '', LoginName: 'alice', DisplayName: '' },
  MachineAuthorized: true,
}
const node = (ID: number, more: object = {}) => ({
  ID,
  StableID: `n${ID}`,
  Name: `n${ID}.example.`,
  User: 1,
  Key: ID === 1 ? nodeKey : `nodekey:${String(ID).padStart(64, '0')}`,
  Addresses: [`100.64.0.${ID}/32`],
  ...more,
})
const firstMap = { Node: node(1), Peers: [node(2)], Domain: 'example' }

/** The server's side of one map stream. */
class MapStream {
  readonly #stream: ServerHttp2Stream
  readonly request: MapRequest
  constructor(stream: ServerHttp2Stream, request: MapRequest) {
    this.#stream = stream
    this.request = request
    stream.respond({ ':status': 200 })
  }
  send(message: MapResponse | object, frame: (bytes: Uint8Array) => Uint8Array = zstdCompressSync): void {
    this.#stream.write(encodeMapMessage(frame(utf8(JSON.stringify(message)))))
  }
  raw(bytes: Uint8Array): void {
    this.#stream.write(bytes)
  }
  end(): void {
    this.#stream.end()
  }
  get isClosed(): boolean {
    return this.#stream.closed || this.#stream.destroyed
  }
}

/** Answers come from functions that tests replace. */
class Script {
  server!: TestControlServer
  readonly registers: RegisterRequest[] = []
  readonly streams: MapStream[] = []
  readonly updates: MapRequest[] = []
  readonly others: string[] = []
  onRegister: (request: RegisterRequest, stream: ServerHttp2Stream) => RegisterResponse | undefined = () => authorized
  mapStatus = 200
  onMap: (stream: MapStream) => void = (stream) => stream.send(firstMap)

  async start(): Promise<void> {
    this.server = await TestControlServer.start({ onStream: (stream, headers) => void this.#answer(stream, headers) })
  }

  async #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const parts: Buffer[] = []
    stream.on('data', (part: Buffer) => parts.push(part))
    if (!stream.readableEnded) await once(stream, 'end').catch(() => undefined)
    const text = Buffer.concat(parts).toString()
    if (headers[':path'] === '/machine/register') {
      const request = JSON.parse(text) as RegisterRequest
      this.registers.push(request)
      const response = this.onRegister(request, stream)
      if (response === undefined) return
      stream.respond({ ':status': 200 })
      stream.end(JSON.stringify(response))
    } else if (headers[':path'] === '/machine/map') {
      const request = JSON.parse(text) as MapRequest
      if (request.Stream !== true) this.updates.push(request)
      if (this.mapStatus !== 200 || request.Stream !== true) {
        stream.respond({ ':status': this.mapStatus })
        stream.end('node not found')
        return
      }
      const opened = new MapStream(stream, request)
      this.streams.push(opened)
      this.onMap(opened)
    } else {
      this.others.push(`${headers[':method']} ${headers[':path']} ${text}`)
      stream.respond({ ':status': 200 })
      stream.end()
    }
  }
}

let script: Script
const clients: ControlClient[] = []
beforeEach(async () => {
  script = new Script()
  await script.start()
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await script.server.close()
})

interface Heard {
  readonly client: ControlClient
  readonly log: string[]
  readonly maps: Netmap[]
  readonly deltas: NetmapDelta[]
  readonly problems: ControlProblem[]
}

function open(o: { options?: Partial<ControlOptions>; io?: Partial<ControlIo> } = {}): Heard {
  const heard = {
    log: [] as string[],
    maps: [] as Netmap[],
    deltas: [] as NetmapDelta[],
    problems: [] as ControlProblem[],
  }
  const client = new ControlClient(
    {
      crypto: nodeCrypto,
      log: silentLog,
      wallMs: Date.now,
      nowMs: () => performance.now(),
      random01: () => 0.5,
      ...o.io,
    },
    {
      serverUrl: script.server.url,
      machineKey: new Secret(nodeCrypto.newPrivateKey()),
      nodeKey: new Secret(nodePrivate),
      oldNodeKey: undefined,
      facts,
      ephemeral: false,
      events: {
        onNetmap: (netmap, delta) => {
          heard.maps.push(netmap)
          heard.deltas.push(delta)
        },
        onAuthUrl: (url) => heard.log.push(`url ${url}`),
        onAuthenticated: ({ user }) => heard.log.push(`in as ${user.LoginName} (${user.DisplayName})`),
        onNodeKey: async () => void heard.log.push('key'),
        onNeedsLogin: (reason) => heard.log.push(`needs login: ${reason}`),
        onError: (problem) => {
          heard.problems.push(problem)
          heard.log.push(problem.kind)
        },
        onMapPoll: (inPoll) => heard.log.push(inPoll ? 'polling' : 'not polling'),
      },
      ...o.options,
    },
  )
  clients.push(client)
  return { client, ...heard }
}

async function joined(o: Parameters<typeof open>[0] = {}): Promise<Heard> {
  const heard = open(o)
  heard.client.login({ authKey: '', interactive: false })
  await until(() => expect(heard.maps.length).toBeGreaterThan(0))
  return heard
}
const until = (check: () => void) => vi.waitFor(check, { timeout: 8000, interval: 5 })

describe('signing in', () => {
  test('[CTL-3.1] a restart: same key, no auth key, then the map', async () => {
    const { log, maps, deltas } = await joined()
    expect(log).toEqual(['in as alice (Alice)', 'polling'])
    expect(script.registers).toEqual([
      {
        Version: 131,
        NodeKey: nodeKey,
        OldNodeKey: ZERO_NODE_KEY,
        NLKey: `nlpub:${'0'.repeat(64)}`,
        Expiry: '0001-01-01T00:00:00Z',
        Followup: '',
        Hostinfo: { Hostname: 'box' },
        NodeKeySignature: null,
      },
    ])
    expect([maps[0]!.self.Name, [...maps[0]!.peers.keys()], deltas[0]!.full]).toEqual(['n1.example.', ['2'], true])
    expect(script.streams[0]!.request).toEqual({
      Version: 131,
      NodeKey: nodeKey,
      DiscoKey: discoKey,
      Hostinfo: { Hostname: 'box' },
      Compress: 'zstd',
      KeepAlive: true,
      Stream: true,
    })
  })
  test('[CTL-3.1] without a key a fresh one is stored before it is sent', async () => {
    const { client, log } = open({ options: { nodeKey: undefined } })
    script.onRegister = () => {
      log.push('register')
      return authorized
    }
    client.login({ authKey: 'secret', interactive: false })
    await until(() => expect(log).toContain('polling'))
    expect(log).toEqual(['key', 'register', 'in as alice (Alice)', 'polling'])
    expect(script.registers[0]!.Auth).toEqual({ AuthKey: 'secret' })
  })
  test('a key that cannot be stored is never sent', async () => {
    const failing = open({ options: { nodeKey: undefined, events: eventsThatCannotSave() } })
    failing.client.login({ authKey: 'secret', interactive: false })
    await until(() => expect(saveProblems).toEqual(['other: the new key cannot be stored: disk full']))
    expect(script.registers).toEqual([])
  })
  test('[CTL-3.4] a page, another page, approval', async () => {
    let release: ((response: RegisterResponse) => void) | undefined
    script.onRegister = (request, stream) => {
      if (request.Followup === '') return { AuthURL: 'https://x/1' }
      release = (response) => {
        stream.respond({ ':status': 200 })
        stream.end(JSON.stringify(response))
      }
      return undefined
    }
    const { client, log } = open()
    client.login({ authKey: '', interactive: true })
    await until(() => expect(script.registers.at(-1)?.Followup).toBe('https://x/1'))
    release!({ AuthURL: 'https://x/2' })
    await until(() => expect(script.registers.at(-1)?.Followup).toBe('https://x/2'))
    release!(authorized)
    await until(() => expect(log).toContain('polling'))
    expect(log).toEqual(['url https://x/1', 'url https://x/2', 'in as alice (Alice)', 'polling'])
  })
  test('[CTL-3.5] while a new key waits for approval the old session keeps running', async () => {
    const heard = await joined()
    let approve = () => {}
    script.onRegister = (request, stream) => {
      if (request.NodeKey === nodeKey) return authorized
      if (request.Followup === '') return { AuthURL: 'https://x/1' }
      approve = () => {
        stream.respond({ ':status': 200 })
        stream.end(JSON.stringify(authorized))
      }
      return undefined
    }
    heard.client.login({ authKey: '', interactive: true })
    await until(() => expect(script.registers.at(-1)?.Followup).toBe('https://x/1'))
    expect(heard.log).not.toContain('key')
    script.streams[0]!.send({ OnlineChange: { 2: true } })
    await until(() => expect(heard.maps.at(-1)!.peers.get('2')!.Online).toBe(true))
    approve()
    await until(() => expect(script.streams.length).toBe(2))
    expect(script.streams[1]!.request.NodeKey).not.toBe(nodeKey)
    expect(script.registers.at(-1)).toMatchObject({ OldNodeKey: nodeKey })
    await until(() => expect(script.streams[0]!.isClosed).toBe(true))
    expect(heard.log.indexOf('key')).toBeLessThan(heard.log.lastIndexOf('in as alice (Alice)'))
  })
  test('[CTL-3.7] a refusal in the server’s words; an unreadable answer is tried again', async () => {
    const { client, problems } = open()
    script.onRegister = () => ({ Error: 'authkey expired' })
    client.login({ authKey: 'old', interactive: false })
    await until(() => expect(problems).toEqual([{ kind: 'refused', text: 'authkey expired' }]))
    script.onRegister = () => (script.registers.length < 4 ? ([] as RegisterResponse) : authorized)
    client.login({ authKey: 'k', interactive: false })
    await until(() => expect(script.streams.length).toBe(1))
    expect(problems.slice(1).every((problem) => problem.kind === 'other')).toBe(true)
  })
  test('[CTL-3.6] logout says so with a date in the past and polls no more', async () => {
    const { client, log } = await joined()
    await client.logout()
    expect(Date.parse(script.registers.at(-1)!.Expiry)).toBeLessThan(Date.now())
    expect(script.registers.at(-1)!.NodeKey).toBe(nodeKey)
    await until(() => expect(script.streams[0]!.isClosed).toBe(true))
    expect(log.at(-1)).toBe('not polling')
  })
})

let saveProblems: string[] = []
function eventsThatCannotSave(): ControlOptions['events'] {
  saveProblems = []
  return {
    onNetmap: () => undefined,
    onAuthUrl: () => undefined,
    onAuthenticated: () => undefined,
    onNodeKey: () => Promise.reject(new Error('disk full')),
    onNeedsLogin: () => undefined,
    onError: (problem) => void saveProblems.push(`${problem.kind}: ${problem.text}`),
    onMapPoll: () => undefined,
  }
}

describe('the map', () => {
  test('[CTL-4.3] zstd, stored frames and plain JSON are read; keep-alives change nothing', async () => {
    const heard = await joined()
    const [stream] = script.streams
    stream!.send({ KeepAlive: true }, storedZstdFrame)
    stream!.send({ PeersChanged: [node(3)] }, storedZstdFrame)
    stream!.send({ PeersChanged: [node(4)] }, (bytes) => bytes)
    await until(() => expect([...heard.maps.at(-1)!.peers.keys()]).toEqual(['2', '3', '4']))
    expect(heard.deltas.map((delta) => delta.peersAdded)).toEqual([['2'], ['3'], ['4']])
  })
  test('[CTL-4.5] a stream that ends is opened again; the old map stands until the new one is here', async () => {
    const heard = await joined()
    script.onMap = (stream) => stream.send({ ...firstMap, Peers: [node(2), node(3)] })
    script.streams[0]!.end()
    await until(() => expect(heard.maps.length).toBe(2))
    expect(heard.deltas[1]).toMatchObject({ full: true, peersAdded: ['3'], peersRemoved: [], selfChanged: false })
    expect(heard.log.slice(1)).toEqual(['polling', 'not polling', 'polling'])
    expect(heard.problems).toEqual([])
  })
  test('[CTL-4.4] [CTL-4.2] a stream without this node, or damaged, is dropped and opened again', async () => {
    const faults: ((stream: MapStream) => void)[] = [
      (stream) => stream.send({ Peers: [node(2)] }),
      (stream) => stream.raw(Buffer.from('ffffffff', 'hex')),
      (stream) => stream.raw(encodeMapMessage(Buffer.from('28b52ffdff', 'hex'))),
      (stream) => stream.raw(encodeMapMessage(utf8('[1]'))),
      (stream) => stream.raw(encodeMapMessage(Buffer.from('fffe', 'hex'))),
      (stream) => stream.raw(new Uint8Array(100).fill(0xfe)),
    ]
    script.onMap = (stream) => (faults.shift() ?? ((s) => s.send(firstMap)))(stream)
    const heard = await joined()
    expect(heard.problems.map((problem) => problem.kind)).toEqual(Array(6).fill('other'))
    expect(heard.log.at(-1)).toBe('polling')
  })
  test('[CTL-6.1] a silent stream is cancelled and opened again', async () => {
    script.onMap = (stream) => script.streams.length > 1 && stream.send(firstMap)
    const heard = await joined({ io: { watchdogMs: 50 } })
    expect(script.streams.length).toBeGreaterThan(1)
    expect(heard.problems[0]).toEqual({ kind: 'unreachable', text: 'the map stream went silent' })
    await until(() => expect(script.streams[0]!.isClosed).toBe(true))
  })
  test('[CTL-6.4] 404: the same key is registered again', async () => {
    script.mapStatus = 404
    const heard = open()
    heard.client.login({ authKey: 'k', interactive: false })
    await until(() => expect(script.registers.length).toBeGreaterThan(1))
    expect(script.registers[1]).toMatchObject({ NodeKey: nodeKey })
    expect(script.registers[1]).not.toHaveProperty('Auth')
    script.onRegister = () => ({ AuthURL: 'https://x/1' })
    await until(() => expect(heard.log).toContain('url https://x/1'))
    expect(heard.log).toContain('needs login: not-registered')
  })
  test('[CTL-6.6] a change of network restarts at once, without an error', async () => {
    const heard = await joined()
    heard.client.networkChanged()
    await until(() => expect(script.streams.length).toBe(2))
    await until(() => expect(heard.maps.length).toBe(2))
    expect(heard.problems).toEqual([])
  })
  test('[CTL-4.10] peers expire between messages', async () => {
    const expiry = new Date(Date.now() + 250).toISOString()
    script.onMap = (stream) => stream.send({ ...firstMap, Peers: [node(2, { KeyExpiry: expiry })] })
    const heard = await joined()
    expect(heard.maps[0]!.peers.get('2')!.Expired).toBeUndefined()
    await until(() => expect(heard.maps.at(-1)!.peers.get('2')!.Expired).toBe(true))
    expect(heard.deltas.at(-1)!.peersChanged).toEqual(['2'])
  })
  test('a server that ends every stream at once is not hammered', async () => {
    script.onMap = (stream) => {
      stream.send(firstMap)
      stream.end()
    }
    await joined()
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(script.streams.length).toBeLessThan(6)
  })
})

describe('updates', () => {
  const at = (port: number): NodeFacts => ({
    ...facts,
    endpoints: [{ address: `192.0.2.1:${port}` as IpPort, type: 2 }],
  })
  test('[CTL-4.1] [CTL-6.3] full state, debounced, newest wins, nothing twice', async () => {
    const { client } = await joined()
    await until(() => expect(script.updates.length).toBe(1))
    for (let port = 1; port <= 5; port++) client.update(at(port))
    await until(() => expect(script.updates.length).toBe(2))
    expect(script.updates[1]).toEqual({
      Version: 131,
      NodeKey: nodeKey,
      DiscoKey: discoKey,
      Hostinfo: { Hostname: 'box' },
      Endpoints: ['192.0.2.1:5'],
      EndpointTypes: [2],
      OmitPeers: true,
      Stream: false,
    })
    client.update(at(5))
    script.streams[0]!.end()
    await until(() => expect(script.streams.length).toBe(2))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(script.updates.length).toBe(2)
    expect(script.streams[1]!.request.Endpoints).toEqual(['192.0.2.1:5'])
  })
  test('[CTL-6.3] a refused update is tried again with the newest state', async () => {
    const { client } = await joined()
    await until(() => expect(script.updates.length).toBe(1))
    script.mapStatus = 500
    client.update(at(1))
    await until(() => expect(script.updates.length).toBeGreaterThan(1))
    client.update(at(2))
    script.mapStatus = 200
    await until(() => expect(script.updates.at(-1)!.Endpoints).toEqual(['192.0.2.1:2']))
  })
})

describe('what the server asks', () => {
  test('[CTL-5.1] HEAD over Noise, once per URL', async () => {
    await joined()
    const ping = { URL: 'https://unused/machine/ping-response?id=1', URLIsNoise: true }
    script.streams[0]!.send({ KeepAlive: true, PingRequest: ping })
    script.streams[0]!.send({ PingRequest: ping })
    script.streams[0]!.send({ PingRequest: { ...ping, URL: '/machine/ping-response?id=2' } })
    await until(() => expect(script.others.length).toBe(2))
    expect(script.others).toEqual(['HEAD /machine/ping-response?id=1 ', 'HEAD /machine/ping-response?id=2 '])
  })
  test('[CTL-5.2] c2n: echo is answered, everything else refused, nothing outside of Noise', async () => {
    await joined()
    const Payload = toBase64(utf8('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi'))
    const ping = (id: number, more: object) => ({ PingRequest: { URL: `https://x/r?id=${id}`, Types: 'c2n', ...more } })
    script.streams[0]!.send(ping(1, { Payload, URLIsNoise: false }))
    script.streams[0]!.send(ping(2, { Payload: '!', URLIsNoise: true }))
    script.streams[0]!.send(ping(3, { Payload, URLIsNoise: true }))
    await until(() => expect(script.others.length).toBe(1))
    expect(script.others[0]).toBe('POST /r?id=3 HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi')
  })
  test('[CTL-5.2] c2n requests of any kind', () => {
    const status = (request: string | Uint8Array) =>
      Buffer.from(answerC2n(typeof request === 'string' ? utf8(request) : request))
        .toString()
        .split('\r\n', 1)[0]
    expect(status('GET /echo?x=1 HTTP/1.0\r\n\r\n')).toBe('HTTP/1.1 200 OK')
    const refused = ['', 'GET /debug/prefs HTTP/1.1\r\n\r\n', 'GET /echo HTTP/1.1\r\n', 'GET /echo/ HTTP/1.1\r\n\r\n']
    for (const request of refused) expect(status(request)).toBe('HTTP/1.1 400 Bad Request')
    for (let i = 0; i < 100; i++) expect(status(nodeCrypto.randomBytes(i))).toBe('HTTP/1.1 400 Bad Request')
  })
})
