/**
 * The programs that manage DNS on Linux, each on a machine of its own: what our daemon tells them, that names work by it,
 * and that nothing of ours remains – after an orderly end, and after SIGKILL and another start. The machines are those of
 * `npm run lab -- dns-modes`; a mode without its package is skipped by name.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { discard } from './demo-network.ts'
import { DnsMachine, DnsNetwork, dnsWishes, OUTSIDE } from './dns-machine.ts'
import { dnsModes, soon, startResolved } from './dns-modes.ts'

describe.each(dnsModes.filter((mode) => mode.packages === undefined))('$name', ({ name }) => {
  test.skip(`skipped: no package ${name} in PINTAIL_DEBS`, () => {})
})

const folder = mkdtempSync(join(tmpdir(), 'pt-'))
let network: DnsNetwork
beforeAll(async () => {
  network = await DnsNetwork.open(folder)
})
afterAll(async () => {
  await network?.close()
  discard(folder)
})

describe.each(dnsModes.filter((mode) => mode.packages !== undefined))('on a machine with $name', (mode) => {
  let machine: DnsMachine
  beforeAll(async () => {
    machine = await DnsMachine.open(network, mode)
  })
  afterAll(() => machine?.stop())

  test('it is found out, told, and names work: ours and the others', async () => {
    expect(await machine.report()).toMatchObject({ mode: mode.name, canSplit: mode.canSplit })
    await machine.knowsNames()
    expect(await machine.getent('nas')).toBe(await network.other.address())
    expect(await machine.getent(OUTSIDE.name)).toBe(OUTSIDE.address)
    await soon('[DNS-15] programs ask us', async () =>
      (await machine.report()).systemVerdict === 'asks us' ? true : undefined,
    )
    const { forwarded } = (await machine.report()).counters
    expect(forwarded > 0).toBe(!mode.canSplit) // a host that can split does not ask us for others' names
    expect(await machine.ours.client.json('GET', 'dns-osconfig')).toMatchObject({ Nameservers: ['203.0.113.54'] })
    expect((await machine.ours.status()).Health ?? []).toEqual([])
  })

  if (mode.name === 'systemd-resolved')
    test('it is told again when it restarts', async () => {
      const { view } = machine
      const pid = (await view.run('pidof', ['systemd-resolved'])).stdout.trim().split(' ')[0] ?? ''
      expect((await view.run('cat', [`/proc/${pid}/status`])).stdout).toContain('systemd-resolve')
      await view.run('kill', [pid])
      await startResolved(view)
      await machine.knowsNames()
    })

  test('accept-dns off: as if we were not there', async () => {
    await machine.ours.client.editPrefs({ CorpDNS: false, CorpDNSSet: true })
    if (mode.canSplit)
      await soon('nobody is asked', async () => ((await machine.getent('nas.demo.internal')) === '' ? true : undefined))
    else await machine.isBack()
    await machine.ours.client.editPrefs({ CorpDNS: true, CorpDNSSet: true })
    await machine.knowsNames()
  })

  test('[F14] after SIGKILL the next start works, and its end leaves nothing', async () => {
    await machine.ours.kill()
    await machine.start()
    await machine.knowsNames()
    await machine.stop()
    await machine.isBack()
    expect(await machine.getent(OUTSIDE.name)).toBe(OUTSIDE.address)
  })

  test.each(dnsWishes)('[F14] %s, SIGKILL, --cleanup: byte by byte as before', async (wish) => {
    await machine.wishKilledCleaned(wish)
    expect(await machine.settings()).toBe(machine.before)
  })
})
