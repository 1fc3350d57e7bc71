/** The stories of exit nodes. [lab/expect-all.lab.ts] */
import { describe, test } from 'vitest'
import { expectAll, hasStock, other } from './expect-all.lab.ts'
import { execute } from './host.ts'
import { beside } from './scenarios/beside.ts'
import { exitBlock } from './scenarios/exit-block.ts'
import { exitBypass } from './scenarios/exit-bypass.ts'
import { exitLocation } from './scenarios/exit-location.ts'

const hasWg = (await execute('sh', ['-c', 'command -v wg'])).code === 0

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

test.skipIf(!hasWg)('exit nodes by place: plain WireGuard gateways in the map only', () =>
  expectAll((sheet, folder) => exitLocation(sheet, { folder, client: 'ours', gateways: other })),
)

test('[U24] beside an old network: nothing of it changes while up, all of it is back after down and after the end', () =>
  expectAll((sheet, folder) => beside(sheet, { folder, client: 'ours', exits: ['ours'] })))
