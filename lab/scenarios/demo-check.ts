/**
 * The promises of the embedded network, each proven on the running thing: `npm start -- --check`.
 * Times are from a user's point of view: from the first packet a program sends to the answer it gets.
 */
import { type DemoMachineName, DemoNetwork, demoMachines } from '../demo-network.ts'
import { eventually } from '../eventually.ts'
import type { Sheet } from '../measure-line.ts'

export interface DemoCheckOptions {
  readonly folder: string
  readonly sheet: Sheet
  readonly progress: (text: string) => void
  /** How long the coordination server stays away; a minute unless a hurried developer says less. */
  readonly controlOutageMs?: number
}

export async function demoCheck(options: DemoCheckOptions): Promise<void> {
  const started = performance.now()
  const network = await DemoNetwork.open({ folder: options.folder, progress: options.progress })
  try {
    options.sheet.add({
      case: 'all machines joined',
      ours: (performance.now() - started) / 1000,
      stock: null,
      unit: 's',
      must: 'five members see each other',
      ok: await allJoined(network),
    })
    for (const name of demoMachines) await firstContact(network, name, options.sheet)
    for (const name of demoMachines) await readsPage(network, name, options.sheet)
    options.progress('cut the direct path to nas, then restore it')
    await cutAndRestore(network, options.sheet)
    options.progress('kill the daemon of nas')
    await killedDaemon(network, options.sheet)
    options.progress('kill the coordination server')
    await withoutControl(network, options.sheet, options.controlOutageMs ?? 60_000)
  } finally {
    await network.close()
  }
}

async function allJoined({ me, machines }: DemoNetwork): Promise<boolean> {
  const { Peer } = await eventually(
    'this computer sees all machines online',
    async () => {
      const status = await me.status()
      const online = Object.values(status.Peer ?? {}).filter((peer) => peer.Online)
      return online.length === machines.size ? status : undefined
    },
    { withinMs: 10_000 },
  )
  return Object.keys(Peer ?? {}).length === machines.size
}

/** What each machine's path must become: its router decides. */
const expectedPath: Record<DemoMachineName, 'direct' | 'relay' | 'any'> = {
  vps: 'direct',
  nas: 'direct',
  office: 'any',
  phone: 'relay',
}

async function firstContact(network: DemoNetwork, name: DemoMachineName, sheet: Sheet): Promise<void> {
  const { me } = network
  const { address } = network.machine(name)
  const started = performance.now()
  const [first] = await me.icmp(address, { count: 1, waitSeconds: 3 })
  sheet.add({
    case: `${name}: first reply after the first packet`,
    ours: first ?? null,
    stock: null,
    unit: 'ms',
    must: '≤ 500',
    ok: first !== undefined && first <= 500,
  })
  const want = expectedPath[name]
  if (want === 'direct') {
    const direct = await me.untilDirect(address, 15_000).catch(() => undefined)
    const tookMs = performance.now() - started
    sheet.add({
      case: `${name}: direct after the first packet`,
      ours: direct === undefined ? null : tookMs / 1000,
      stock: null,
      unit: 's',
      must: '≤ 2',
      ok: direct !== undefined && tookMs <= 2_000,
    })
    return
  }
  const pong = await me.ping(address)
  const path = pong.Endpoint === '' ? `relay ${pong.DERPRegionCode}` : `direct ${pong.Endpoint}`
  sheet.add({
    case: `${name}: path`,
    ours: path,
    stock: null,
    unit: '',
    must: want === 'relay' ? 'relayed' : null,
    ok: want === 'any' || pong.DERPRegionID !== 0,
  })
}

async function readsPage(network: DemoNetwork, name: DemoMachineName, sheet: Sheet): Promise<void> {
  const text = await network.readPage(name).catch((error: Error) => error.message)
  sheet.add({
    case: `${name}: its web page through the tunnel`,
    ours: text.includes(`<h1>${name}</h1>`) ? 'read' : text.slice(0, 200),
    stock: null,
    unit: '',
    must: 'read',
    ok: text.includes(`<h1>${name}</h1>`),
  })
}

/** Sends an echo every 100 ms until told to stop; knows when answers came. */
class EchoStream {
  readonly #arrivals: number[] = []
  readonly #child: ReturnType<DemoNetwork['me']['host']['start']>
  #last = 0
  readonly #closed: Promise<void>
  #sent = 0

  constructor(network: DemoNetwork, address: string) {
    this.#child = network.me.host.start('ping', ['-n', '-i', '0.1', '-W', '2', address])
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      const text = chunk.toString()
      const answers = text.match(/bytes from/g)?.length ?? 0
      const now = performance.now()
      for (let i = 0; i < answers; i++) this.#arrivals.push(now)
      if (answers > 0) this.#last = now
      const summary = /(\d+) packets transmitted/.exec(text)
      if (summary) this.#sent = Number(summary[1])
    })
    this.#closed = new Promise((resolve) => this.#child.once('close', () => resolve()))
  }

  /** The longest silence since a moment, in ms. */
  longestGapSince(moment: number): number {
    const times = [moment, ...this.#arrivals.filter((at) => at > moment)]
    return Math.max(...times.map((at, i) => (times[i + 1] ?? performance.now()) - at))
  }

  get lastArrival(): number {
    return this.#last
  }

  async end(): Promise<{ sent: number; received: number }> {
    this.#child.kill('SIGINT') // ping prints its summary on SIGINT
    await this.#closed
    return { sent: this.#sent, received: this.#arrivals.length }
  }
}

async function cutAndRestore(network: DemoNetwork, sheet: Sheet): Promise<void> {
  const nas = network.machine('nas')
  const stream = new EchoStream(network, nas.address)
  await eventually('echoes flow', () => (stream.lastArrival > 0 ? true : undefined), { withinMs: 5_000 })
  const cutAt = performance.now()
  await nas.lan!.setKind('noudp')
  await eventually('traffic is back on the relay', () => (stream.lastArrival > cutAt + 1_000 ? true : undefined), {
    withinMs: 20_000,
  })
  const gap = stream.longestGapSince(cutAt)
  const relayed = await network.me.ping(nas.address)
  sheet.add({
    case: 'nas: direct path cut, traffic back on the relay',
    ours: gap / 1000,
    stock: null,
    unit: 's',
    must: '≤ 5',
    ok: gap <= 5_000 && relayed.DERPRegionID !== 0,
  })
  await nas.lan!.setKind('apdf')
  const direct = await network.me.untilDirect(nas.address, 60_000).catch(() => undefined)
  sheet.add({
    case: 'nas: path restored, direct again',
    ours: direct === undefined ? null : direct.tookMs / 1000,
    stock: null,
    unit: 's',
    must: 'direct again',
    ok: direct !== undefined,
  })
  await stream.end()
}

async function killedDaemon(network: DemoNetwork, sheet: Sheet): Promise<void> {
  const { daemon, address } = network.machine('nas')
  const before = (await daemon.status()).Self.PublicKey
  const stream = new EchoStream(network, address)
  await eventually('echoes flow', () => (stream.lastArrival > 0 ? true : undefined), { withinMs: 5_000 })
  await daemon.kill()
  const restarted = performance.now()
  await daemon.start()
  await eventually('echoes flow again', () => (stream.lastArrival > restarted ? true : undefined), {
    withinMs: 20_000,
    everyMs: 20,
  })
  const tookMs = stream.lastArrival - restarted
  const after = (await daemon.status()).Self.PublicKey
  await stream.end()
  sheet.add({
    case: 'nas: daemon killed and restarted',
    ours: tookMs / 1000,
    stock: null,
    unit: 's',
    must: '≤ 3, same identity',
    ok: tookMs <= 3_000 && before === after,
  })
}

async function withoutControl(network: DemoNetwork, sheet: Sheet, outageMs: number): Promise<void> {
  const streams = (['vps', 'nas', 'phone'] as const).map(
    (name) => new EchoStream(network, network.machine(name).address),
  )
  for (const stream of streams)
    await eventually('echoes flow', () => (stream.lastArrival > 0 ? true : undefined), { withinMs: 5_000 })
  await network.control.kill()
  await new Promise((resolve) => setTimeout(resolve, outageMs))
  await network.control.start()
  const results = await Promise.all(streams.map((stream) => stream.end()))
  const direct = results.slice(0, 2)
  const lost = direct.reduce((sum, { sent, received }) => sum + sent - received, 0)
  const sent = direct.reduce((sum, result) => sum + result.sent, 0)
  sheet.add({
    case: 'control server killed for a minute: direct peers',
    ours: lost,
    stock: null,
    unit: `lost of ${sent}`,
    must: '0',
    ok: lost === 0 && sent > 0,
  })
  // The relay lives in the same process, so the relayed machine is away for that minute and must come back by itself.
  const phone = await eventually(
    'phone is reachable again',
    async () =>
      (await network.me.icmp(network.machine('phone').address, { count: 1, waitSeconds: 1 })).length > 0
        ? true
        : undefined,
    { withinMs: 20_000 },
  ).catch(() => false)
  sheet.add({
    case: 'phone: reachable again after the relay came back',
    ours: phone ? 'yes' : 'no',
    stock: null,
    unit: '',
    must: 'yes',
    ok: phone === true,
  })
}
