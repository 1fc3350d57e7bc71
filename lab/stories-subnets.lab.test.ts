/** The stories of subnet routes. [lab/expect-all.lab.ts] */
import { test } from 'vitest'
import { expectAll, hasStock, other } from './expect-all.lab.ts'
import { headscaleProgram } from './headscale.ts'
import { sameNumbers } from './scenarios/same-numbers.ts'
import { siteToSite } from './scenarios/site-to-site.ts'
import { splitDns } from './scenarios/split-dns.ts'
import { subnetHa } from './scenarios/subnet-ha.ts'
import { underHeadscale } from './scenarios/under-headscale.ts'

test('[U15] a subnet behind two routers: one dies, a TCP connection goes on; home and café', () =>
  expectAll((sheet, folder) => subnetHa(sheet, { folder, client: 'ours', routers: ['ours', other] })))

test.skipIf(!hasStock)('4via6: two sites with the same network at once, behind ours and a stock router', () =>
  expectAll((sheet, folder) => sameNumbers(sheet, { folder, client: 'ours', routers: ['ours'], branch: 'stock' })),
)

test('routers on both sides: machines without a client reach each other, addresses kept', () =>
  expectAll((sheet, folder) => siteToSite(sheet, { folder, routers: ['ours', other] })))

test('[U16] a cloud’s zone is asked at its own resolver through the subnet route; dns query says who answered', () =>
  expectAll((sheet, folder) => splitDns(sheet, { folder, client: 'ours', routers: [other] })))

test.skipIf(headscaleProgram === undefined || !hasStock)('under Headscale: approved by hand and by its policy', () =>
  expectAll((sheet, folder) => underHeadscale(sheet, { folder, client: 'ours', router: 'ours' })),
)
