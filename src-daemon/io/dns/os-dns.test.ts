/** The contract on what runs without a program that manages DNS. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OsDnsConfig } from '../../../src-protocol/machines/resolver/os-plan.ts'
import { directRootHelper } from '../root-helper/direct.ts'
import { DirectOsDns } from './direct.ts'
import { MemoryOsDns } from './memory.ts'
import { osDnsContract } from './os-dns.contract-suite.ts'

const base: OsDnsConfig = { nameservers: ['192.0.2.53'] as never, searchDomains: ['old.example'], matchDomains: [] }

for (const canSplit of [false, true]) {
  osDnsContract(canSplit ? 'no system, one that can split' : 'no system', () => {
    let last: MemoryOsDns | undefined
    return {
      open: () => {
        last = new MemoryOsDns({ canSplit, base })
        return last
      },
      settings: () => JSON.stringify(last?.applied ?? 'nothing'),
      base,
      close: () => {},
    }
  })
}

osDnsContract('resolv.conf itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-dns-'))
  writeFileSync(join(folder, 'resolv.conf'), '# mine\nnameserver 192.0.2.53\nsearch old.example\n')
  return {
    open: () => new DirectOsDns({ folder, root: directRootHelper({ folder }), why: 'a test' }),
    settings: () =>
      readdirSync(folder)
        .sort()
        .map((name) => `${name}: ${readFileSync(join(folder, name), 'latin1')}`)
        .join('\n'),
    base,
    close: () => rmSync(folder, { recursive: true }),
  }
})
