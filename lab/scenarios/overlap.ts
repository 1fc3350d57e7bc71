/**
 * A laptop that accepts a subnet, in places that have those numbers themselves: in the office the route goes, in a café
 * with the same numbers it stays and health says so; and any route can be switched off alone. What only our daemon does.
 */
import { type Checks, checksOn } from '../checks.ts'
import { eventually } from '../eventually.ts'
import type { Sheet } from '../measure-line.ts'
import { OFFICE, Office, type OfficeOptions } from '../office.ts'

export async function overlap(sheet: Sheet, options: OfficeOptions): Promise<void> {
  const office = await Office.open(options)
  const [router] = office.routers
  const checks = checksOn(sheet, `${options.client} client, ${options.routers[0]} router`)
  try {
    await office.approve(router!.name)
    await office.client.client.editPrefs({ RouteAll: true, RouteAllSet: true })
    checks.is('accepted: the server sees the router', await office.untilSeen(router!.inside), router!.inside)
    await overlapIn(office, checks, router!.inside)
  } finally {
    await office.close()
  }
}

/** In an office that is reached; `seen`: as whom the server sees the laptop through the tunnel. */
export async function overlapIn(office: Office, checks: Checks, seen: string): Promise<void> {
  const { client } = office.client
  const explained = async (what: string, wanted: readonly unknown[]): Promise<void> => {
    const { verdict, agrees, lost, overlaps } = await office.explained()
    checks.is(what, [verdict, agrees, ...lost, overlaps], wanted)
  }
  const patch = (edit: object): Promise<unknown> =>
    client.request('PATCH', 'pintail/routes', { body: JSON.stringify(edit) })
  await patch({ Off: [OFFICE] })
  checks.is('switched off alone: not reached', await office.seenAs(1), '')
  await explained('and explained', ['internet', true, 'off', 0])
  await patch({ On: [OFFICE] })
  checks.is('and on again', await office.untilSeen(seen), seen)

  const deviceIs = (device: string): Promise<string> =>
    eventually(
      `the route goes by ${device}`,
      async () => ((await office.routeDevice()) === device ? device : undefined),
      { withinMs: 15_000 },
    ).catch(() => office.routeDevice())
  await office.visit('office')
  checks.is('in the office the route goes', await deviceIs('eth9'), 'eth9')
  checks.is('and the server sees the laptop in the room', await office.untilSeen('192.168.50.77'), '192.168.50.77')
  await explained('and explained', ['local', true, 'at-home', 1])
  await office.leave()
  checks.is('out of the office it is back', await deviceIs('pintail0'), 'pintail0')
  checks.is('and works', await office.untilSeen(seen), seen)

  await office.visit('cafe')
  const told = await eventually(
    'health names the overlap',
    async () => ((await office.client.status()).Health?.join().includes('has the same addresses') ? true : undefined),
    { withinMs: 30_000 },
  ).catch(() => false)
  checks.is('in a café with the same numbers health says so', told, true)
  checks.is('and the office is still the office', await office.untilSeen(seen), seen)
  await explained('explained with the conflict', ['peer', true, 1])
  await office.leave()
}
