/**
 * U17: on the road with an exit node, and the company's own VPN beside it. The public address changes; the company's
 * network stays reachable with a bypass and only with it; the printer in the same room follows its own switch.
 */
import { fileURLToPath } from 'node:url'
import { Away, type AwayOptions, COMPANY, COMPANY_NAME, PRINTER, SITE } from '../away.ts'
import { eventually } from '../eventually.ts'
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

    if (options.client === 'ours') await withBypass(away, expect)

    await away.use(undefined)
    expect('after, the site sees the router', await away.seenAs(10), away.routerAddress)
    expect('after, the company is reached', await away.reaches(COMPANY), true)
  } finally {
    await away.close()
  }
}

const cli = fileURLToPath(new URL('../../src-cli/main.ts', import.meta.url))

/** What only our daemon does, by command line. */
async function withBypass(away: Away, expect: (what: string, found: unknown, wanted: unknown) => void): Promise<void> {
  const pintail = async (...words: string[]): Promise<string> => {
    const { stdout, stderr } = await away.laptop.run(process.execPath, [
      cli,
      `--socket=${away.client.socketPath}`,
      ...words,
    ])
    return (stdout + stderr).trim()
  }
  const becomes = (wanted: boolean, look: () => Promise<boolean>): Promise<boolean> =>
    eventually('', async () => ((await look()) === wanted ? wanted : undefined), { withinMs: 15_000 }).catch(
      () => !wanted,
    )

  expect(
    'the company’s VPN is suggested',
    await pintail('bypass', 'suggest'),
    'wt0 has 10.0.0.0/16, 10.99.0.0/16. To keep them: pintail bypass add interface:wt0',
  )
  await pintail('set', '--exit-node-bypass=interface:wt0')
  expect('the company with the bypass', await away.reaches(COMPANY), true)
  expect('route to the company with the bypass', await away.routeGet(COMPANY), 'wt0 main')
  expect('the site is still seen from the exit node', await away.seenAs(), away.exits[0]!.address)
  await away.setCompanyVpn(false)
  const rules = async (): Promise<boolean> => (await away.laptop.run('ip', ['rule'])).stdout.includes('5000:')
  expect('the other VPN ends: no rule is left', await becomes(false, rules), false)
  await away.setCompanyVpn(true)
  expect('and starts: the company is back by itself', await becomes(true, () => away.reaches(COMPANY, 1)), true)

  await away.edit({ CorpDNS: true, CorpDNSSet: true })
  await pintail('set', '--exit-node-bypass=10.0.0.53,*.corp.example')
  expect(
    'a name of the company, asked there and reached past the exit node',
    await becomes(true, () => away.reaches(COMPANY_NAME)),
    true,
  )
  expect('other addresses of the company are not', await away.reaches(COMPANY), false)
  await pintail('set', '--exit-node-bypass=')
  expect('without bypass everything takes the exit node again', await away.reaches(COMPANY), false)
  await away.edit({ CorpDNS: false, CorpDNSSet: true })
}
