/**
 * An office behind two routers: the route is offered, approved, accepted; one router dies and the other has it; a route is
 * switched off alone; the laptop comes into the office and the route goes; a café with the same numbers is no home.
 */
import { eventually } from '../eventually.ts'
import type { Sheet } from '../measure-line.ts'
import { OFFICE, Office, type OfficeOptions, SERVER } from '../office.ts'

export async function subnetHa(sheet: Sheet, options: OfficeOptions): Promise<void> {
  const office = await Office.open(options)
  const { client, laptop } = office
  const [first, second] = office.routers
  const kinds = `${options.client} client, ${options.routers.join(' and ')} routers`
  const tun = options.client === 'ours' ? 'pintail0' : 'tailscale0'
  const expect = (what: string, found: unknown, wanted: unknown): void =>
    sheet.add({
      case: `${kinds}: ${what}`,
      ours: String(found),
      stock: null,
      unit: '',
      must: String(wanted),
      ok: found === wanted,
    })
  const seen = (who: string, withinMs = 15_000): Promise<string> =>
    eventually(`the server sees ${who}`, async () => ((await office.seenAs(1)) === who ? who : undefined), {
      withinMs,
    }).catch(async () => office.seenAs(1))
  try {
    for (const { name } of office.routers) await office.approve(name)
    expect('not accepted, not reached', await office.seenAs(1), '')
    await client.client.editPrefs({ RouteAll: true, RouteAllSet: true })
    expect('accepted: the server sees the first router', await seen(first!.inside), first!.inside)
    expect('the route', await office.routeDevice(), tun)

    // One connection outlives the move where the server's own way back does: addresses are kept, the server's route follows.
    for (const { daemon } of office.routers) await daemon.client.editPrefs({ NoSNAT: true, NoSNATSet: true })
    const back = (router: string): Promise<string> =>
      office.server.must('ip', ['route', 'replace', '100.64.0.0/10', 'via', router])
    await back(first!.inside)
    const own = await client.address()
    expect('without SNAT the server sees the laptop itself', await seen(own), own)
    const stream = laptop.start(process.execPath, ['-e', ECHO_CLIENT])
    let text = ''
    stream.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    const answers = (): number => Number(/answer (\d+)\s*$/.exec(text)?.[1] ?? 0)
    await eventually('the stream runs', () => (answers() > 3 ? true : undefined), { withinMs: 10_000 })
    const started = performance.now()
    await first!.daemon.kill()
    await back(second!.inside)
    const before = answers()
    const moved = await eventually('the other router has it', () => (answers() > before + 8 ? true : undefined), {
      withinMs: 40_000,
    }).catch(() => false)
    const tookMs = performance.now() - started
    sheet.add({
      case: `${kinds}: the first router dies, the same TCP connection goes on`,
      ours: moved ? tookMs / 1000 : text.slice(-40),
      stock: null,
      unit: 's',
      must: '≤ 15',
      ok: moved === true && tookMs <= 15_000,
    })
    stream.kill('SIGKILL')

    if (options.client === 'ours') await oursAlone(office, expect, seen, own)
  } finally {
    await office.close()
  }
}

/** A line four times a second; says which came back. */
const ECHO_CLIENT = `const s = require('net').connect(7, '${SERVER}'); let n = 0, back = ''
s.on('data', (d) => { back += d; console.log('answer', back.split('\\n').length - 1) }); s.on('error', (e) => console.log(e.code))
setInterval(() => s.write(++n + '\\n'), 250)`

/** What only our daemon does. */
async function oursAlone(
  office: Office,
  expect: (what: string, found: unknown, wanted: unknown) => void,
  seen: (who: string) => Promise<string>,
  own: string,
): Promise<void> {
  const { client } = office.client
  const patch = (edit: object): Promise<unknown> =>
    client.request('PATCH', 'pintail/routes', { body: JSON.stringify(edit) })
  await patch({ Off: [OFFICE] })
  expect('switched off alone: not reached', await office.seenAs(1), '')
  await patch({ On: [OFFICE] })
  expect('and on again', await seen(own), own)

  const deviceIs = (device: string): Promise<string> =>
    eventually(
      `the route goes by ${device}`,
      async () => ((await office.routeDevice()) === device ? device : undefined),
      {
        withinMs: 15_000,
      },
    ).catch(() => office.routeDevice())
  await office.visit('office')
  expect('in the office the route goes', await deviceIs('eth9'), 'eth9')
  expect('and the server sees the laptop in the room', await seen('192.168.50.77'), '192.168.50.77')
  await office.leave()
  expect('out of the office it is back', await deviceIs('pintail0'), 'pintail0')
  expect('and works', await seen(own), own)

  await office.visit('cafe')
  const told = await eventually(
    'health names the overlap',
    async () => ((await office.client.status()).Health?.join().includes('has the same addresses') ? true : undefined),
    { withinMs: 30_000 },
  ).catch(() => false)
  expect('in a café with the same numbers health says so', told, true)
  expect('and the office is still the office', await seen(own), own)
  await office.leave()
}
