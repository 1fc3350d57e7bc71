/**
 * U17: on the road with an exit node, and the company's own VPN beside it. The public address changes; the company's
 * network stays reachable with a bypass and only with it; the printer in the same room follows its own switch.
 */
import { Away, type AwayOptions, COMPANY, COMPANY_NAME, PRINTER, SITE } from '../away.ts'
import { type Checks, checksOn } from '../checks.ts'
import { eventually } from '../eventually.ts'
import type { Sheet } from '../measure-line.ts'

export async function exitBypass(sheet: Sheet, options: AwayOptions): Promise<void> {
  const away = await Away.open(options)
  const [exit] = away.exits
  const checks = checksOn(sheet, `${options.client} client, ${options.exits[0]} exit node`)
  try {
    const isOurs = options.client === 'ours'
    const explained = async (to: string, verdict: string): Promise<void> => {
      if (isOurs) checks.is(`${to} explained`, await away.explained(to), `${verdict}: ${await away.routeGet(to)}`)
    }
    await away.approveExits()
    checks.is('before, the site sees the router', await away.seenAs(), away.routerAddress)
    checks.is('before, the company is reached', await away.reaches(COMPANY), true)
    await explained(SITE, 'internet')
    await explained(COMPANY, 'other-vpn')
    await explained(PRINTER, 'local')

    await away.use(exit)
    checks.is('the site sees the exit node', await away.seenAs(10), exit!.address)
    const tun = options.client === 'ours' ? 'pintail0' : 'tailscale0'
    checks.is('route to the site', await away.routeGet(SITE), `${tun} 52`)
    await explained(SITE, 'exit-node')
    await explained(COMPANY, 'exit-node')
    await explained('100.100.100.100', 'this-machine')
    await explained('2001:db8:77::1', 'exit-node')
    checks.is('the company without bypass', await away.reaches(COMPANY), false)
    checks.is('the printer without local access', await away.reaches(PRINTER), false)

    await away.edit({ ExitNodeAllowLANAccess: true, ExitNodeAllowLANAccessSet: true })
    checks.is('the printer with local access', await away.reaches(PRINTER), true)
    await explained(PRINTER, 'local')

    // As users do by hand, and scripts of theirs must go on to work.
    await away.laptop.run('ip', ['rule', 'add', 'to', '10.0.0.0/16', 'pref', '5000', 'lookup', 'main'])
    checks.is('the company with the users’ own rule', await away.reaches(COMPANY), true)
    checks.is('route to the company', await away.routeGet(COMPANY), 'wt0 main')
    await explained(COMPANY, 'other-vpn')
    await away.laptop.run('ip', ['rule', 'del', 'to', '10.0.0.0/16', 'pref', '5000', 'lookup', 'main'])
    checks.is('and without it again', await away.reaches(COMPANY), false)

    if (isOurs) await withBypass(away, checks)

    await away.use(undefined)
    checks.is('after, the site sees the router', await away.seenAs(10), away.routerAddress)
    checks.is('after, the company is reached', await away.reaches(COMPANY), true)
  } finally {
    await away.close()
  }
}

/** What only our daemon does, by command line. */
async function withBypass(away: Away, checks: Checks): Promise<void> {
  const becomes = (wanted: boolean, look: () => Promise<boolean>): Promise<boolean> =>
    eventually('', async () => ((await look()) === wanted ? wanted : undefined), { withinMs: 15_000 }).catch(
      () => !wanted,
    )

  checks.is(
    'the company’s VPN is suggested',
    await away.pintail('bypass', 'suggest'),
    'wt0 has 10.0.0.0/16, 10.99.0.0/16. To keep them: pintail bypass add interface:wt0',
  )
  await away.pintail('set', '--exit-node-bypass=interface:wt0')
  checks.is('the company with the bypass', await away.reaches(COMPANY), true)
  checks.is('route to the company with the bypass', await away.routeGet(COMPANY), 'wt0 main')
  checks.is('and explained', await away.explained(COMPANY), 'other-vpn: wt0 main')
  const why = await away.pintail('route', 'explain', COMPANY)
  checks.is(
    'first the sentence',
    why.split('\n')[0],
    `${COMPANY} → wt0, because you bypass 10.0.0.0/16 (interface wt0).`,
  )
  checks.is('who lost', /exit node exit1 \(pintail0\) +0\.0\.0\.0\/0 +Your bypass list comes first/.test(why), true)
  checks.is('and that the kernel agrees', why.includes('The operating system agrees: dev wt0 table main.'), true)
  const parts = (await away.client.client.explainRoute({ to: '10.0.0.0/14' }))?.Targets ?? []
  checks.is('most of 10.0.0.0/14 explained', parts[0]?.Verdict, 'exit-node')
  const companys = parts.find(({ Verdict }) => Verdict === 'other-vpn')
  checks.is('and the company’s part of it', companys?.Parts, '10.0.0.0/16')
  checks.is('the site is still seen from the exit node', await away.seenAs(), away.exits[0]!.address)
  await away.setCompanyVpn(false)
  const rules = async (): Promise<boolean> => (await away.laptop.run('ip', ['rule'])).stdout.includes('5000:')
  checks.is('the other VPN ends: no rule is left', await becomes(false, rules), false)
  await away.setCompanyVpn(true)
  checks.is('and starts: the company is back by itself', await becomes(true, () => away.reaches(COMPANY, 1)), true)

  await away.edit({ CorpDNS: true, CorpDNSSet: true })
  await away.pintail('set', '--exit-node-bypass=10.0.0.53,*.corp.example')
  checks.is(
    'a name of the company, asked there and reached past the exit node',
    await becomes(true, () => away.reaches(COMPANY_NAME)),
    true,
  )
  const name = await away.pintail('route', 'explain', COMPANY_NAME)
  const told = `${COMPANY_NAME}: asked at 10.0.0.53, because corp.example is in your bypass list: it is not asked through the exit node.`
  checks.is('its server explained', name.split('\n')[0], told)
  checks.is(
    'and its address',
    name.includes(`10.99.0.5 → wt0, because you bypass 10.99.0.5/32 (name ${COMPANY_NAME}).`),
    true,
  )
  checks.is('other addresses of the company are not', await away.reaches(COMPANY), false)
  await away.pintail('set', '--exit-node-bypass=')
  checks.is('without bypass everything takes the exit node again', await away.reaches(COMPANY), false)
  await away.edit({ CorpDNS: false, CorpDNSSet: true })
}
