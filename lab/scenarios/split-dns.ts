/**
 * U16: a cloud network behind a subnet router has a zone of its own. Its names are asked at its own resolver, which is
 * reached by the subnet route and by nothing else; all other names are asked where they were.
 */
import { checksOn } from '../checks.ts'
import { eventually } from '../eventually.ts'
import type { Sheet } from '../measure-line.ts'
import { startNameServer } from '../name-server.ts'
import { Office, type OfficeOptions, SERVER } from '../office.ts'

const NAME = 'git.cloud.example'
const PUBLIC_DNS = '203.0.113.53'
/** What the rest of the world believes. */
const WRONG = '198.51.100.66'
const PUBLIC_SITE = '198.51.100.67'

export async function splitDns(sheet: Sheet, options: OfficeOptions): Promise<void> {
  const config = { dns: { base_domain: 'demo.internal', nameservers: { split: { 'cloud.example': [SERVER] } } } }
  const office = await Office.open({ ...options, config })
  const { client, laptop, internet } = office
  const [router] = office.routers
  const checks = checksOn(sheet, `${options.client} client, ${options.routers[0]} router`)
  const dig = async (...words: string[]): Promise<string> =>
    (await laptop.run('dig', ['+short', '+tries=1', '+time=2', ...words])).stdout.trim()
  const becomes = async (name: string, wanted: string): Promise<string> =>
    eventually(`${name} is ${wanted}`, async () => ((await dig(name)) === wanted ? wanted : undefined), {
      withinMs: 15_000,
      everyMs: 200,
    }).catch(() => dig(name))
  try {
    const world = await internet.publicHost('dns', [PUBLIC_DNS])
    const zones = { [NAME]: WRONG, 'www.example.com': PUBLIC_SITE }
    await startNameServer(world.host, { address: PUBLIC_DNS, zones, manner: 'fine' })
    await startNameServer(office.server, { address: SERVER, zones: { [NAME]: SERVER }, manner: 'fine' })
    await office.server.must('nft', ['-f', '-'], { input: WITNESS })
    await laptop.writeEtc('resolv.conf', `nameserver ${PUBLIC_DNS}\n`)
    checks.is('before, the world is asked', await becomes(NAME, WRONG), WRONG)

    await office.approve(router!.name)
    await client.client.editPrefs({ CorpDNS: true, CorpDNSSet: true })
    checks.is('other names are asked where they were', await becomes('www.example.com', PUBLIC_SITE), PUBLIC_SITE)
    const fails = await dig(NAME)
    checks.is('without the route the zone has no answer, rather than the world’s', fails.includes(WRONG), false)
    await client.client.editPrefs({ RouteAll: true, RouteAllSet: true })
    checks.is('with it, the zone’s own', await becomes(NAME, SERVER), SERVER)
    checks.is('asked through the router', await askers(office), [router!.inside])
    const page = await eventually(
      'the page, by name',
      async () => /<h1>(.*)<\/h1>/.exec(await office.page(`http://${NAME}/`))?.[1],
      { withinMs: 10_000 },
    ).catch(() => '')
    checks.is('a program finds it by name', page, 'office')
    checks.is('and other names as before', await becomes('www.example.com', PUBLIC_SITE), PUBLIC_SITE)
    if (options.client === 'ours') {
      const said = await office.pintail('dns', 'query', NAME)
      checks.is('pintail dns query says who answered', /resolver.*\n?.*192\.168\.50\.10/i.test(said), true)
      checks.is('and what', said.includes(`TypeA  ${SERVER}`), true)
      const where = await office.pintail('dns', 'status')
      checks.is('pintail dns status shows the zone', /cloud\.example\.?\s+-> 192\.168\.50\.10/.test(where), true)
    }
    await client.client.editPrefs({ CorpDNS: false, CorpDNSSet: true })
    checks.is('accept-dns off: the world is asked again', await becomes(NAME, WRONG), WRONG)
  } finally {
    await office.close()
  }
}

/** Who asked the cloud's resolver. */
async function askers(office: Office): Promise<string[]> {
  const text = await office.server.must('nft', ['list', 'set', 'inet', 'witness', 'askers'])
  const inside = /elements = \{([^}]*)\}/.exec(text)?.[1] ?? ''
  return [...new Set(inside.match(/\d+\.\d+\.\d+\.\d+/g) ?? [])].sort()
}

const WITNESS = `
table inet witness {
  set askers { type ipv4_addr; flags dynamic; size 64; }
  chain in {
    type filter hook input priority raw;
    meta l4proto { 6, 17 } th dport 53 add @askers { ip saddr }
  }
}
`
