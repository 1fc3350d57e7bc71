/**
 * U24: a company moves over machine by machine, beside its old network. The machine has a VPN with rules and a table of its
 * own, a packet filter, static routes and a hand-written resolv.conf. While ours is up nothing of that is changed; after
 * `down`, and after the end of the daemon, all of it is byte by byte as it was found.
 */
import { Away, type AwayOptions, COMPANY, COMPANY_NAME, SITE } from '../away.ts'
import { checksOn } from '../checks.ts'
import { eventually } from '../eventually.ts'
import {
  appeared,
  changedChains,
  differences,
  fingerprint,
  type HostNetwork,
  hostNetwork,
  vanished,
} from '../host-network.ts'
import type { MachineView } from '../machine-view.ts'
import type { Sheet } from '../measure-line.ts'

const RESOLV_CONF =
  '# caf\xe9, by hand\n\nnameserver 10.0.0.53\noptions  timeout:1\tattempts:2\nsearch corp.example\n\n'

export async function beside(sheet: Sheet, options: AwayOptions): Promise<void> {
  let found: HostNetwork | undefined
  const away = await Away.open({
    ...options,
    prepare: async (laptop) => {
      await furnish(laptop)
      found = await hostNetwork(laptop)
    },
  })
  const checks = checksOn(sheet, 'beside an old network')
  const { laptop, client } = away
  try {
    if (found === undefined) throw new Error('nothing was looked at')
    const before = found
    checks.is('it was there', /51820/.test(before.rules) && /company/.test(before.filter), true)
    /** A change settles within a moment. */
    const untilSame = (): Promise<string[]> =>
      eventually(
        'as it was',
        async () => (differences(before, await hostNetwork(laptop)).length === 0 ? [] : undefined),
        {
          withinMs: 10_000,
        },
      ).catch(async () => differences(before, await hostNetwork(laptop)))
    const whileUp = async (when: string): Promise<void> => {
      const now = await hostNetwork(laptop)
      checks.is(`${when}: gone of the old`, vanished(before, now), [])
      checks.is(`${when}: new and not marked as ours`, appeared(before, now, isOurs), [])
      checks.is(`${when}: chains of the old with other rules`, changedChains(before, now), [])
      checks.is(`${when}: the old network is reached`, await away.reaches(COMPANY), true)
      checks.is(`${when}: by name`, await away.reaches(COMPANY_NAME), true)
    }
    await away.approveExits()
    await eventually(
      'ours is up',
      async () => (/lookup 52/.test((await hostNetwork(laptop)).rules) ? true : undefined),
      {
        withinMs: 10_000,
      },
    )
    await whileUp('up')
    checks.is('resolv.conf, without accept-dns, as before', (await laptop.readEtc('resolv.conf')) === RESOLV_CONF, true)

    await away.edit({ CorpDNS: true, CorpDNSSet: true, RouteAll: true, RouteAllSet: true })
    await eventually(
      'names go through us',
      async () => ((await laptop.readEtc('resolv.conf')).includes('100.100.100.100') ? true : undefined),
      { withinMs: 10_000 },
    )
    await whileUp('with names and routes')
    await away.pintail('set', '--exit-node-bypass=interface:wt0,*.corp.example')
    await away.use(away.exits[0])
    checks.is('an exit node is used', await away.seenAs(10), away.exits[0]!.address)
    await whileUp('with an exit node and bypass')

    await away.pintail('down')
    checks.is('after down', await untilSame(), [])
    checks.is('the site is reached as ever', await away.seenAs(5), away.routerAddress)
    await away.pintail('up')
    checks.is('up again, the exit node is used', await untilSeen(away, away.exits[0]!.address), away.exits[0]!.address)
    await client.stop()
    checks.is('after the end of the daemon', await untilSame(), [])
    checks.is('fingerprint', fingerprint(await hostNetwork(laptop)), fingerprint(before))
    checks.is('the old network is reached', await away.reaches(COMPANY), true)
  } finally {
    await away.close()
  }
}

const untilSeen = (away: Away, who: string): Promise<string> =>
  eventually(`${SITE} sees ${who}`, async () => ((await away.seenAs()) === who ? who : undefined), {
    withinMs: 15_000,
  }).catch(() => away.seenAs())

/** Marked by our interface, table, priorities or protocol number. */
function isOurs(line: string): boolean {
  return /pintail|table 52\b|lookup 52\b|^52[1357]0:|proto 152/.test(line)
}

/** What an old VPN and its administrators leave on a machine. */
async function furnish(laptop: MachineView): Promise<void> {
  const commands = [
    'ip link add old0 type veth peer name old1',
    'ip link set old1 up',
    'ip addr add 10.200.0.7/32 dev old0',
    'ip link set old0 up',
    'ip route add default dev old0 table 51820',
    'ip rule add to 10.200.0.0/16 table 51820 pref 32764',
    'ip rule add table main suppress_prefixlength 0 pref 32763',
    'ip route add 10.77.0.0/16 dev old0 metric 77',
    'ip route add blackhole 10.78.0.0/16',
    'ip rule add from 10.79.0.0/16 table 100 pref 5205',
    'ip route add unreachable default table 100',
  ]
  for (const command of commands) {
    const { code, stderr } = await laptop.run('sh', ['-c', command])
    if (code !== 0) throw new Error(`${command}: ${stderr}`)
  }
  const filtered = await laptop.run('nft', ['-f', '-'], { input: OLD_FILTER })
  if (filtered.code !== 0) throw new Error(filtered.stderr)
  await laptop.writeEtc('resolv.conf', RESOLV_CONF)
}

/** One table as scripts write it, and those that `iptables` shares with everybody. */
const OLD_FILTER = `
table inet company {
  set blocked { type ipv4_addr; elements = { 192.0.2.66, 192.0.2.67 } }
  chain in {
    type filter hook input priority filter; policy accept;
    ip saddr @blocked drop
    iifname "old0" counter accept
  }
}
table ip filter {
  chain INPUT { type filter hook input priority filter; policy accept; iifname "old0" counter accept; }
  chain FORWARD { type filter hook forward priority filter; policy accept; }
}
table ip nat {
  chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; oifname "old0" counter masquerade; }
}
`
