/**
 * U15: an office behind two routers. The route is offered, approved, accepted; one router dies and the other has it, while
 * one TCP connection goes on.
 */
import { checksOn } from '../checks.ts'
import { eventually } from '../eventually.ts'
import type { Sheet } from '../measure-line.ts'
import { Office, type OfficeOptions, SERVER } from '../office.ts'
import { overlapIn } from './overlap.ts'

export async function subnetHa(sheet: Sheet, options: OfficeOptions): Promise<void> {
  const office = await Office.open(options)
  const { client, laptop } = office
  const [first, second] = office.routers
  const checks = checksOn(sheet, `${options.client} client, ${options.routers.join(' and ')} routers`)
  const explained = async (what: string, wanted: readonly unknown[]): Promise<void> => {
    if (options.client !== 'ours') return
    const { verdict, agrees, machines, lost } = await office.explained()
    checks.is(what, [verdict, agrees, ...machines, ...lost], wanted)
  }
  try {
    for (const { name } of office.routers) await office.approve(name)
    checks.is('not accepted, not reached', await office.seenAs(1), '')
    await explained('and explained', ['internet', true, 'not-accepted'])
    await client.client.editPrefs({ RouteAll: true, RouteAllSet: true })
    checks.is('accepted: the server sees the first router', await office.untilSeen(first!.inside), first!.inside)
    checks.is('the route', await office.routeDevice(), options.client === 'ours' ? 'pintail0' : 'tailscale0')
    await explained('explained', ['peer', true, first!.name, `not ${second!.name}`])

    // One connection outlives the move where the server's own way back does: addresses are kept, the server's route follows.
    for (const { daemon } of office.routers) await daemon.client.editPrefs({ NoSNAT: true, NoSNATSet: true })
    await office.answerThrough(first!.inside)
    const own = await client.address()
    checks.is('without SNAT the server sees the laptop itself', await office.untilSeen(own), own)
    const stream = laptop.start(process.execPath, ['-e', ECHO_CLIENT])
    let text = ''
    stream.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    const answers = (): number => Number(/answer (\d+)\s*$/.exec(text)?.[1] ?? 0)
    await eventually('the stream runs', () => (answers() > 3 ? true : undefined), { withinMs: 10_000 })
    const started = performance.now()
    await first!.daemon.kill()
    await office.answerThrough(second!.inside)
    const before = answers()
    const tookMs = await eventually(
      'the other router has it',
      () => (answers() > before + 8 ? performance.now() - started : undefined),
      { withinMs: 40_000 },
    ).catch(() => undefined)
    checks.seconds('the first router dies, the same TCP connection goes on', tookMs, 15, text.slice(-40))
    stream.kill('SIGKILL')
    await explained('and explained: the other one', ['peer', true, second!.name, `not ${first!.name}`])

    if (options.client === 'ours') await overlapIn(office, checks, own)
  } finally {
    await office.close()
  }
}

/** A line four times a second; says which came back. */
const ECHO_CLIENT = `const s = require('net').connect(7, '${SERVER}'); let n = 0, back = ''
s.on('data', (d) => { back += d; console.log('answer', back.split('\\n').length - 1) }); s.on('error', (e) => console.log(e.code))
setInterval(() => s.write(++n + '\\n'), 250)`
