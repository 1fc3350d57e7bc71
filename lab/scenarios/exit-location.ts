/**
 * Exit nodes by place: plain WireGuard gateways of a provider, in the network map only. One is suggested by where we are
 * and by the provider's priorities; packets go through it under the address that it knows us by; its name server answers;
 * nobody reaches us through it; when it goes away nothing leaks.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Away, SITE } from '../away.ts'
import { checksOn } from '../checks.ts'
import { eventually } from '../eventually.ts'
import type { MapAdditions } from '../map-additions.ts'
import type { Sheet } from '../measure-line.ts'
import { startNameServer } from '../name-server.ts'
import { coverUapiFolder } from '../plain-wireguard.ts'
import { servePage } from '../room.ts'
import { GATEWAY_INSIDE, KNOWN_AS, openWireGuardExit, type Place, type WireGuardExit } from '../wireguard-exit.ts'

export interface ExitLocationOptions {
  readonly folder: string
  readonly client: 'ours' | 'stock'
  readonly gateways: 'ours' | 'stock'
}

const stockholm = { country: 'Sweden', countryCode: 'SE', city: 'Stockholm', cityCode: 'STO' }
const uppsala = { country: 'Sweden', countryCode: 'SE', city: 'Uppsala', cityCode: 'UPP' }
const sydney = { country: 'Australia', countryCode: 'AU', city: 'Sydney', cityCode: 'SYD' }
/** Uppsala is within 100 km of Stockholm and has the higher priority; Sydney has the highest, and is far away. */
const places: readonly Place[] = [
  { ...stockholm, latitude: 59.33, longitude: 18.07, priority: 10 },
  { ...uppsala, latitude: 59.86, longitude: 17.64, priority: 50 },
  { ...sydney, latitude: -33.87, longitude: 151.21, priority: 100 },
]
const HERE = { Latitude: 59.3, Longitude: 18 }

export async function exitLocation(
  sheet: Sheet,
  { folder, client, gateways: kind }: ExitLocationOptions,
): Promise<void> {
  await coverUapiFolder()
  const mapAdditions = join(folder, 'map-additions.json')
  const away = await Away.open({ folder, client, exits: [], mapAdditions })
  const checks = checksOn(sheet, `${client} client, ${kind} gateways`)
  const gateways: WireGuardExit[] = []
  try {
    for (const [index, place] of places.entries()) {
      const name = `${place.countryCode}-${place.cityCode}-wg`.toLowerCase()
      const machine = await away.internet.publicHost(name)
      gateways.push(await openWireGuardExit(machine, { name, number: index + 1, place, kind, client: away.client }))
    }
    const [near, best] = gateways as [WireGuardExit, WireGuardExit, WireGuardExit]
    await startNameServer(best.host, { address: GATEWAY_INSIDE, zones: { 'www.example.com': SITE }, manner: 'fine' })
    await servePage(away.laptop.host, 'laptop')
    const told: MapAdditions = { peers: { laptop: gateways.map(({ node }) => node) }, region: HERE }
    writeFileSync(mapAdditions, JSON.stringify(told))
    await away.control.stop()
    await away.control.start()
    await eventually(
      'the laptop sees the gateways',
      async () =>
        Object.values((await away.client.status()).Peer ?? {}).filter((peer) => peer.ExitNodeOption).length === 3 ||
        undefined,
      { withinMs: 30_000 },
    )
    const table = await away.pintail('exit-node', 'list')
    checks.is('listed by country and city', /Sweden +Any/.test(table) && /Australia +Sydney/.test(table), true)
    const suggested = await eventually(
      'a suggestion',
      async () => /Suggested exit node: (\S+)/.exec(await away.pintail('exit-node', 'suggest'))?.[1],
      { withinMs: 20_000 },
    )
    checks.is('suggested: near, and of those the highest priority', suggested, `${best.name}.mullvad.ts.net`)

    await away.edit({ CorpDNS: true, CorpDNSSet: true })
    await away.pintail('set', `--exit-node=${suggested}`)
    checks.is('the site sees the gateway', await untilSeen(away, best.address), best.address)
    const { known, unknown } = await heard(best)
    checks.is('the gateway knows the sender', known > 0, true)
    checks.is('packets from any other address', unknown, 0)
    checks.is('a name, answered by the gateway’s own server', await untilNamed(away), 'site')
    const [peer] = Object.values((await away.client.status()).Peer ?? {}).filter(({ ExitNode }) => ExitNode)
    checks.is('status says how it is reached', peer?.CurAddr, `${best.address}:51820`)
    const intruder = await best.host.run('curl', ['-s', '-m', '2', `http://${KNOWN_AS.v4}/`])
    checks.is('from the gateway nobody gets in', intruder.stdout, '')
    const ping = await best.host.run('ping', ['-n', '-c', '1', '-W', '1', KNOWN_AS.v4])
    checks.is('not even a ping', ping.stdout.includes(' time='), false)

    const busy = away.keepAsking()
    const own = gateways.map(({ address }) => address)
    await away.leaked(own)
    await away.pintail('set', `--exit-node=${near.name}.mullvad.ts.net`)
    checks.is('another gateway', await untilSeen(away, near.address), near.address)
    checks.is('left uncovered while switching', await away.leaked(own), [])
    await near.device.stop()
    checks.is('it goes away: the site is out of reach', await away.seenAs(3), '')
    checks.is('and nothing is left uncovered', await away.leaked(own), [])
    busy.kill('SIGKILL')
    await away.use(undefined)
    checks.is('without one, the site sees the router', await untilSeen(away, away.routerAddress), away.routerAddress)
  } finally {
    await Promise.all(gateways.map(({ device }) => device.stop()))
    await away.close()
  }
}

const untilSeen = (away: Away, who: string): Promise<string> =>
  eventually(`the site sees ${who}`, async () => ((await away.seenAs(2)) === who ? who : undefined), {
    withinMs: 20_000,
  }).catch(() => away.seenAs(2))

const untilNamed = (away: Away): Promise<string> =>
  eventually(
    'the page by name',
    async () => /<h1>(.*)<\/h1>/.exec(await away.fetch('http://www.example.com/', 3))?.[1],
    { withinMs: 15_000 },
  ).catch(() => '')

async function heard({ host }: WireGuardExit): Promise<{ known: number; unknown: number }> {
  const text = await host.must('nft', ['list', 'counters'])
  const count = (name: string): number =>
    Number(new RegExp(`counter ${name} \\{\\s*packets (\\d+)`).exec(text)?.[1] ?? Number.NaN)
  return { known: count('known'), unknown: count('unknown') }
}
