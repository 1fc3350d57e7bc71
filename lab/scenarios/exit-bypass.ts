/**
 * U17: on the road with an exit node, and the company's own VPN beside it. The public address changes; the company's
 * network stays reachable with a bypass and only with it; the printer in the same room follows its own switch.
 */
import { Away, type AwayOptions, COMPANY, PRINTER, SITE } from '../away.ts'
import type { Sheet } from '../measure-line.ts'

export async function exitBypass(sheet: Sheet, options: AwayOptions): Promise<void> {
  const away = await Away.open(options)
  const [exit] = away.exits
  const kinds = `${options.client} client, ${options.exits[0]} exit node`
  const expect = (what: string, found: unknown, wanted: unknown): void =>
    sheet.add({
      case: `${kinds}: ${what}`,
      ours: String(found),
      stock: null,
      unit: '',
      must: String(wanted),
      ok: found === wanted,
    })
  try {
    await away.approveExits()
    expect('before, the site sees the router', await away.seenAs(), away.routerAddress)
    expect('before, the company is reached', await away.reaches(COMPANY), true)

    await away.use(exit)
    expect('the site sees the exit node', await away.seenAs(10), exit!.address)
    const tun = options.client === 'ours' ? 'pintail0' : 'tailscale0'
    expect('route to the site', await away.routeGet(SITE), `${tun} 52`)
    expect('the company without bypass', await away.reaches(COMPANY), false)
    expect('the printer without local access', await away.reaches(PRINTER), false)

    await away.edit({ ExitNodeAllowLANAccess: true, ExitNodeAllowLANAccessSet: true })
    expect('the printer with local access', await away.reaches(PRINTER), true)

    // As users do by hand, and scripts of theirs must go on to work.
    await away.laptop.run('ip', ['rule', 'add', 'to', '10.0.0.0/16', 'pref', '5000', 'lookup', 'main'])
    expect('the company with the users’ own rule', await away.reaches(COMPANY), true)
    expect('route to the company', await away.routeGet(COMPANY), 'wt0 main')
    await away.laptop.run('ip', ['rule', 'del', 'to', '10.0.0.0/16', 'pref', '5000', 'lookup', 'main'])
    expect('and without it again', await away.reaches(COMPANY), false)

    await away.use(undefined)
    expect('after, the site sees the router', await away.seenAs(10), away.routerAddress)
    expect('after, the company is reached', await away.reaches(COMPANY), true)
  } finally {
    await away.close()
  }
}
