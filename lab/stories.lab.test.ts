/**
 * The user stories as CI runs them: the scenarios of `npm run lab -- NAME` in mixes of our nodes and stock ones, with shorter
 * waits and fewer mixes. The minute without a leak of `exit-block` and the hundred kills of `killed` are the named runs'.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { headscaleProgram } from './headscale.ts'
import { Sheet } from './measure-line.ts'
import { beside } from './scenarios/beside.ts'
import { exitBlock } from './scenarios/exit-block.ts'
import { exitBypass } from './scenarios/exit-bypass.ts'
import { exitLocation } from './scenarios/exit-location.ts'
import { portal } from './scenarios/portal.ts'
import { roam } from './scenarios/roam.ts'
import { sameNumbers } from './scenarios/same-numbers.ts'
import { siteToSite } from './scenarios/site-to-site.ts'
import { splitDns } from './scenarios/split-dns.ts'
import { subnetHa } from './scenarios/subnet-ha.ts'
import { underHeadscale } from './scenarios/under-headscale.ts'

const hasStock = stockProgram('tailscaled') !== undefined
const other = hasStock ? 'stock' : 'ours'
const folder = mkdtempSync(join(tmpdir(), 'pt-'))
afterAll(() => discard(folder))
let count = 0

/** All checks of a scenario, in a folder of its own. */
async function expectAll(run: (sheet: Sheet, folder: string) => Promise<void>): Promise<void> {
  const sheet = new Sheet({ json: false })
  await run(sheet, join(folder, String(++count)))
  expect(sheet.sum.count).toBeGreaterThan(0)
  expect(sheet.sum.failed).toBe(0)
}

describe('[U17] exit node and company VPN', () => {
  for (const [client, exit] of [
    ['ours', other],
    ['stock', 'ours'],
  ] as const) {
    test.skipIf(!hasStock && client === 'stock')(`${client} client, ${exit} exit node`, () =>
      expectAll((sheet, folder) => exitBypass(sheet, { folder, client, exits: [exit] })),
    )
  }
})

test('the exit node is gone: nothing leaks; another takes over when asked', () =>
  expectAll((sheet, folder) => {
    return exitBlock(sheet, { folder, client: 'ours', exits: ['ours', other], watchSeconds: 5 })
  }))

test('[U15] a subnet behind two routers: one dies, a TCP connection goes on; home and café', () =>
  expectAll((sheet, folder) => subnetHa(sheet, { folder, client: 'ours', routers: ['ours', other] })))

test.skipIf(!hasStock)('4via6: two sites with the same network at once, behind ours and a stock router', () =>
  expectAll((sheet, folder) => sameNumbers(sheet, { folder, client: 'ours', routers: ['ours'], branch: 'stock' })),
)

test('routers on both sides: machines without a client reach each other, addresses kept', () =>
  expectAll((sheet, folder) => siteToSite(sheet, { folder, routers: ['ours', other] })))

test('[U16] a cloud’s zone is asked at its own resolver through the subnet route; dns query says who answered', () =>
  expectAll((sheet, folder) => splitDns(sheet, { folder, client: 'ours', routers: [other] })))

test('[U24] beside an old network: nothing of it changes while up, all of it is back after down and after the end', () =>
  expectAll((sheet, folder) => beside(sheet, { folder, client: 'ours', exits: ['ours'] })))

test('exit nodes by place: plain WireGuard gateways in the map only', () =>
  expectAll((sheet, folder) => exitLocation(sheet, { folder, client: 'ours', gateways: 'ours' })))

test('[F4] the address changes, interfaces come and go: pings and TCP connections go on, direct and relayed', () =>
  expectAll((sheet, folder) => roam(sheet, { folder, isBrief: true })))

test('[F16] a captive portal: health says so; signed in, everything is back by itself', () =>
  expectAll((sheet, folder) => portal(sheet, { folder, isBrief: true })))

test.skipIf(headscaleProgram === undefined || !hasStock)('under Headscale: approved by hand and by its policy', () =>
  expectAll((sheet, folder) => underHeadscale(sheet, { folder, client: 'ours', router: 'ours' })),
)
