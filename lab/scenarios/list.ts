/** What `npm run lab -- NAME` can run: every scenario by name, each in the mixes of our nodes and stock ones that it is about. */
import { join } from 'node:path'
import { type DaemonOptions, stockProgram } from '../daemon.ts'
import { headscaleProgram } from '../headscale.ts'
import type { Sheet } from '../measure-line.ts'
import { beside } from './beside.ts'
import { demoCheck } from './demo-check.ts'
import { dnsModesMatrix } from './dns-modes.ts'
import { exitBlock } from './exit-block.ts'
import { exitBypass } from './exit-bypass.ts'
import { exitLocation } from './exit-location.ts'
import { killed } from './killed.ts'
import { overlap } from './overlap.ts'
import { portal } from './portal.ts'
import { roam } from './roam.ts'
import { sameNumbers } from './same-numbers.ts'
import { siteToSite } from './site-to-site.ts'
import { splitDns } from './split-dns.ts'
import { subnetHa } from './subnet-ha.ts'
import { taildropLarge } from './taildrop.ts'
import { underHeadscale } from './under-headscale.ts'

type Kind = DaemonOptions['kind']

interface Context {
  readonly sheet: Sheet
  readonly folder: string
  readonly progress: (text: string) => void
  readonly quick: boolean
}
export interface Scenario {
  readonly about: string
  run(context: Context): Promise<void>
}

const hasStock = stockProgram('tailscaled') !== undefined
/** Without stock programs only we remain. */
const mixesOf = <Mix extends readonly Kind[]>(...mixes: readonly Mix[]): readonly Mix[] =>
  mixes.filter((mix) => hasStock || !mix.includes('stock'))

async function inMixes<Mix extends readonly Kind[]>(
  { folder, progress }: Context,
  mixes: readonly Mix[],
  run: (mix: Mix, folder: string) => Promise<void>,
): Promise<void> {
  for (const mix of mixes) {
    progress(mix.join(', '))
    await run(mix, join(folder, mix.map((kind) => kind[0]).join('')))
  }
}

/** The first is the client. */
const pairs = mixesOf<readonly [Kind, Kind]>(['ours', 'ours'], ['ours', 'stock'], ['stock', 'ours'])
const triples = mixesOf<readonly [Kind, Kind, Kind]>(hasStock ? ['ours', 'ours', 'stock'] : ['ours', 'ours', 'ours'], [
  'stock',
  'ours',
  'ours',
])

export const scenarios: Readonly<Record<string, Scenario>> = {
  demo: {
    about: 'the embedded network: joined, direct or relayed as its routers say, survives cuts, kills and a lost server',
    run: ({ sheet, folder, progress, quick }) =>
      demoCheck({ sheet, folder, progress, ...(quick ? { controlOutageMs: 10_000 } : {}) }),
  },
  taildrop: {
    about: 'files: 3 GiB of a sparse source and 10 000 small ones, ours and stock mixed; memory stays',
    run: ({ sheet, folder, progress, quick }) => taildropLarge(sheet, { folder, progress, quick }),
  },
  'exit-bypass': {
    about: 'U17: an exit node and a company VPN side by side',
    run: (context) =>
      inMixes(context, pairs, ([client, exit], folder) => exitBypass(context.sheet, { folder, client, exits: [exit] })),
  },
  'exit-block': {
    about: 'the exit node dies: nothing leaves uncovered for a minute; another takes over when asked',
    run: (context) =>
      inMixes(context, triples, ([client, ...exits], folder) =>
        exitBlock(context.sheet, { folder, client, exits, watchSeconds: context.quick ? 10 : 60 }),
      ),
  },
  'exit-location': {
    about: 'exit nodes by place: plain WireGuard gateways in the map only, suggested by distance and priority',
    run: (context) =>
      inMixes(
        context,
        mixesOf<readonly [Kind, Kind]>(['ours', 'ours'], ['ours', 'stock']),
        ([client, gateways], folder) => exitLocation(context.sheet, { folder, client, gateways }),
      ),
  },
  'subnet-ha': {
    about: 'U15: a subnet behind two routers, one dies, a TCP connection goes on',
    run: (context) =>
      inMixes(context, triples, ([client, ...routers], folder) => subnetHa(context.sheet, { folder, client, routers })),
  },
  'split-dns': {
    about: 'U16: a cloud’s zone, asked at its own resolver through the subnet route',
    run: (context) =>
      inMixes(context, pairs, ([client, router], folder) =>
        splitDns(context.sheet, { folder, client, routers: [router] }),
      ),
  },
  beside: {
    about: 'U24: beside an old VPN, its rules, filter and resolv.conf: nothing of it changes, all of it comes back',
    run: ({ sheet, folder }) => beside(sheet, { folder, client: 'ours', exits: ['ours'] }),
  },
  overlap: {
    about: 'a subnet whose numbers are around us: at home its route goes, in a café it stays; switched off alone',
    run: (context) =>
      inMixes(
        context,
        mixesOf<readonly [Kind, Kind]>(['ours', 'ours'], ['ours', 'stock']),
        ([client, router], folder) => overlap(context.sheet, { folder, client, routers: [router] }),
      ),
  },
  'site-to-site': {
    about: 'routers on both sides: machines without a client reach each other, addresses kept',
    run: (context) => inMixes(context, pairs, (routers, folder) => siteToSite(context.sheet, { folder, routers })),
  },
  headscale: {
    about: 'subnets and exit nodes under Headscale, approved by hand and by its policy (PINTAIL_HEADSCALE)',
    run: async (context) => {
      if (headscaleProgram === undefined || stockProgram('derper') === undefined)
        throw new Error('needs PINTAIL_HEADSCALE and a derper (npm run peers)')
      await inMixes(context, pairs, ([client, router], folder) =>
        underHeadscale(context.sheet, { folder, client, router }),
      )
    },
  },
  roam: {
    about: 'F4: interface, address and default route move; pings and TCP connections go on, direct and relayed',
    run: ({ sheet, folder }) => roam(sheet, { folder }),
  },
  killed: {
    about: 'F14: a daemon killed a hundred times: the next start works, --cleanup leaves nothing',
    run: ({ sheet, folder, progress, quick }) => killed(sheet, { folder, progress, kills: quick ? 10 : 100 }),
  },
  portal: {
    about: 'F16: a captive portal: health says so, and after the sign-in everything is back by itself',
    run: ({ sheet, folder }) => portal(sheet, { folder }),
  },
  '4via6': {
    about: 'two sites with the same network, reached at the same time',
    run: (context) =>
      inMixes(context, triples, ([client, router, branch], folder) =>
        sameNumbers(context.sheet, { folder, client, routers: [router], branch }),
      ),
  },
  'dns-modes': {
    about: 'each program that manages DNS, times what is wished of it: names work, and after SIGKILL all is as before',
    run: ({ sheet, folder, progress }) => dnsModesMatrix(sheet, { folder, progress }),
  },
}
