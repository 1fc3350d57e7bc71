/**
 * What every `OsDns` must hold, whoever manages names on the host: one more operating system, one more call of this. The
 * real programs of Linux are in `lab/dns-modes.lab.test.ts`.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { OsDnsConfig } from '../../../src-protocol/machines/resolver/os-plan.ts'
import type { OsDns } from './port.ts'

export interface HostUnderTest {
  /** A daemon that starts: another one each time, on the same host. */
  open(): OsDns | Promise<OsDns>
  /** Everything that programs of the host go by, as one text. */
  settings(): string | Promise<string>
  /** What the host used before any of us. */
  readonly base: OsDnsConfig
  close(): void | Promise<void>
}

const split: OsDnsConfig = {
  nameservers: ['100.100.100.100'] as never,
  searchDomains: ['tail.example'],
  matchDomains: ['corp.example', 'tail.example'],
}
const everything: OsDnsConfig = { ...split, searchDomains: ['tail.example', 'old.example'], matchDomains: [] }
/** Names come from a server. */
const hostile: OsDnsConfig = { ...everything, searchDomains: ['x\nnameserver 6.6.6.6', 'a b', '$(reboot)', '\u0000'] }

export function osDnsContract(name: string, start: () => HostUnderTest | Promise<HostUnderTest>): void {
  describe(`[DNS-18] ${name}`, () => {
    let host: HostUnderTest
    let dns: OsDns
    let before: string
    beforeEach(async () => {
      host = await start()
      before = await host.settings()
      dns = await host.open()
    })
    afterEach(async () => {
      await dns.close()
      await host.close()
    })
    /** Domains for some servers only are no promise of hosts that cannot. */
    const first = (): OsDnsConfig => (dns.canSplit ? split : everything)

    test('says who it is, changes nothing until asked, and knows what there was', async () => {
      expect(dns.mode).not.toBe('')
      expect(dns.why).not.toBe('')
      expect(await host.settings()).toBe(before)
      expect(await dns.base()).toEqual(host.base)
    })
    test('applied twice is applied once; what there was is still known', async () => {
      expect(await dns.apply(first())).toEqual({ kind: 'applied' })
      const once = await host.settings()
      expect(once).not.toBe(before)
      expect(await dns.apply({ ...first() })).toEqual({ kind: 'applied' })
      expect(await host.settings()).toBe(once)
      expect(await dns.base()).toEqual(host.base)
    })
    test('the last wish counts, also when nobody waited for the one before', async () => {
      await dns.apply(everything)
      const wanted = await host.settings()
      const results = await Promise.all([dns.apply(undefined), dns.apply(hostile), dns.apply(everything)])
      expect(results.every(({ kind }) => kind === 'applied')).toBe(true)
      expect(await host.settings()).toBe(wanted)
    })
    test('undone by wishing nothing, and by its end; both may come twice', async () => {
      await dns.apply(first())
      expect(await dns.apply(undefined)).toEqual({ kind: 'applied' })
      expect(await host.settings()).toBe(before)
      expect(await dns.apply(undefined)).toEqual({ kind: 'applied' })
      await dns.apply(everything)
      await dns.close()
      expect(await host.settings()).toBe(before)
      await dns.close()
      expect(await host.settings()).toBe(before)
    })
    test('one that never was told anything leaves nothing', async () => {
      await dns.close()
      expect(await host.settings()).toBe(before)
    })
    test('the next one finds what there was before the first', async () => {
      await dns.apply(everything)
      await dns.close()
      dns = await host.open()
      expect(await dns.base()).toEqual(host.base)
    })
    test('a name that is none gets in nowhere', async () => {
      await dns.apply(hostile)
      expect(await host.settings()).not.toMatch(/6\.6\.6\.6|reboot/)
      expect(await dns.apply(undefined)).toEqual({ kind: 'applied' })
      expect(await host.settings()).toBe(before)
    })
  })
}
