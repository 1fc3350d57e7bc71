import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { emptyBypass } from '../../../src-contract/localapi/bypass.ts'
import { decodeDnsQuery, encodeDnsQuery, encodeDnsReply } from '../../../src-protocol/wire/dns.ts'
import { addressRecord } from '../../../src-protocol/wire/dns-record.ts'
import { parseForeign } from '../../io/foreign-routes/linux.ts'
import type { ForeignInterface } from '../../io/foreign-routes/port.ts'
import { silentLog } from '../../io/log/log.ts'
import { Bypass } from './bypass.ts'
import { LearnedNames } from './learned-names.ts'
import { parseBypass } from './setting.ts'

describe('[BYP-1] a setting', () => {
  test('is put in order: masked, lower case, once each', () => {
    const wish = {
      Prefixes: ['10.0.7.7/16', '192.0.2.1', '10.0.0.0/16'],
      Suffixes: ['*.Corp.Example.', 'corp.example'],
      Interfaces: ['wt0'],
      Users: ['build'],
      Cgroups: ['/user.slice/work.slice/'],
    }
    expect(parseBypass(wish)).toEqual({
      ok: true,
      value: {
        Prefixes: ['10.0.0.0/16', '192.0.2.1/32'],
        Suffixes: ['corp.example'],
        Interfaces: ['wt0'],
        Users: ['build'],
        Cgroups: ['user.slice/work.slice'],
      },
    })
    expect(parseBypass({})).toEqual({ ok: true, value: emptyBypass })
  })
  test.each([
    [[], 'a bypass is an object'],
    [{ Prefixes: 'all' }, 'Prefixes is no list'],
    [{ Prefixes: ['0.0.0.0/0'] }, '"0.0.0.0/0" is not a network such as 10.0.0.0/16'],
    [{ Prefixes: [7] }, '7 is not a network'],
    ...['100.64.0.0/10', '100.64.0.7', '64.0.0.0/2', 'fd7a:115c:a1e0::1', 'fc00::/7'].map(
      (Prefix): [object, string] => [{ Prefixes: [Prefix] }, 'through the tunnel alone'],
    ),
    [{ Suffixes: ['.'] }, 'is not a domain'],
    [{ Interfaces: ['wt0; rm -rf /'] }, 'is not the name of an interface'],
    [{ Users: ['a b'] }, 'is not the name of a user'],
    [{ Cgroups: ['../../etc'] }, 'is not a control group'],
    [{ Cgroups: ['a"b'] }, 'is not a control group'],
    [{ Users: Array(201).fill('a') }, 'Users has more than 200 entries'],
  ])('%j is refused in words', (value, words) => {
    const read = parseBypass(value)
    expect(read.ok ? '' : read.reason).toContain(words)
  })
  test('whatever comes, it is refused or in order', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(emptyBypass)), fc.anything()), (value) => {
        const read = parseBypass(value)
        if (read.ok) expect(parseBypass(read.value)).toEqual(read)
      }),
    )
  })
})

describe('[BYP-2] networks of other VPNs', () => {
  const links = JSON.stringify([
    { ifname: 'lo' },
    { ifname: 'eth0' },
    { ifname: 'pintail0', linkinfo: { info_kind: 'tun' } },
    { ifname: 'wt0', linkinfo: { info_kind: 'wireguard' } },
    { ifname: 'office', linkinfo: { info_kind: 'ppp' } },
  ])
  const routes = JSON.stringify([
    { dst: 'default', dev: 'wt0', gateway: '10.0.0.1' },
    { dst: '10.0.0.0/16', dev: 'wt0', table: '7120' },
    { dst: '10.0.77.7', dev: 'wt0', table: 'local', type: 'local' },
    { dst: '172.20.1.1', dev: 'office' },
    { dst: '192.168.1.0/24', dev: 'eth0' },
    { dst: '10.9.0.0/16', dev: 'pintail0' },
    { type: 'unreachable', dst: '10.8.0.0/16', dev: 'wt0' },
    { dst: 'fe80::/64', dev: 'wt0' },
    { dst: 7, dev: 'wt0' },
    null,
  ])
  test('in whichever table; neither defaults nor what stays on the link, and not ours', () => {
    expect(parseForeign(links, [routes], 'pintail0')).toEqual([
      { name: 'eth0', isTunnel: false, prefixes: ['192.168.1.0/24'] },
      { name: 'wt0', isTunnel: true, prefixes: ['10.0.0.0/16'] },
      { name: 'office', isTunnel: true, prefixes: ['172.20.1.1/32'] },
    ])
  })
  test('hostile text is nothing', () => {
    for (const text of ['', '{', '{"a":1}', '[[]]', `[${'['.repeat(50_000)}`, '[{"ifname":{}}]'])
      expect(parseForeign(text, [text, text], undefined)).toEqual([])
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(Array.isArray(parseForeign(text, [text], 'x'))).toBe(true)
      }),
    )
  })
})

const answerOf = (name: string, ...addresses: string[]): Uint8Array => {
  const query = decodeDnsQuery(encodeDnsQuery(1, name, 1)!)
  if (!query.ok) throw new Error(query.reason)
  const answers = addresses.map((address) => ({ ...addressRecord(address)!, name, ttlSeconds: 60 }))
  return encodeDnsReply(query.value, { rcode: 0, answers }, 1232)
}

describe('[BYP-3] names', () => {
  test('addresses of names below the suffix are learned, for a while, and no more than fit', () => {
    const names = new LearnedNames()
    expect(names.note(answerOf('git.corp.example', '10.99.0.5'), ['corp.example'], 0)).toBe(true)
    expect(names.note(answerOf('git.corp.example', '10.99.0.5'), ['corp.example'], 1_000)).toBe(false)
    expect(names.note(answerOf('www.example', '198.51.100.1'), ['corp.example'], 0)).toBe(false)
    expect(names.note(answerOf('notcorp.example', '198.51.100.1'), ['corp.example'], 0)).toBe(false)
    expect(names.current(['corp.example'], 500_000)).toEqual([{ address: '10.99.0.5', name: 'git.corp.example' }])
    expect(names.current(['corp.example'], 602_000)).toEqual([])
    for (let i = 0; i < 6_000; i++)
      names.note(answerOf('a.corp.example', `10.${i >> 8}.${i & 255}.1`), ['corp.example'], 0)
    expect(names.current(['corp.example'], 1)).toHaveLength(4_096)
  })
  test.each([
    '100.64.0.7',
    '100.100.100.100',
    'fd7a:115c:a1e0::53',
    '127.0.0.1',
    '0.0.0.0',
    '::',
    'fe80::1',
    '224.0.0.251',
    '255.255.255.255',
  ])('[BYP-6] no name server pulls %s out of the tunnel', (address) => {
    const names = new LearnedNames()
    expect(names.note(answerOf('git.corp.example', address, '10.99.0.5'), ['corp.example'], 0)).toBe(true)
    expect(names.current(['corp.example'], 1)).toEqual([{ address: '10.99.0.5', name: 'git.corp.example' }])
  })
  test('hostile answers teach nothing', () => {
    const names = new LearnedNames()
    const whole = answerOf('git.corp.example', '10.99.0.5')
    for (let cut = 0; cut < whole.length; cut++) names.note(whole.subarray(0, cut), ['corp.example'], 0)
    expect(names.current(['corp.example'], 1)).toEqual([])
  })
})

describe('in step with what is around', () => {
  afterEach(() => vi.useRealTimers())
  const open = () => {
    const around: { faces: ForeignInterface[] } = { faces: [] }
    let changes = 0
    const bypass = new Bypass({
      routes: { read: async () => around.faces },
      accounts: { uidOf: async (name) => (name === 'build' ? 1007 : undefined) },
      now: () => 0,
      log: silentLog,
    })
    bypass.onChange = () => changes++
    return { bypass, around, changes: () => changes }
  }
  const setting = {
    ...emptyBypass,
    Prefixes: ['192.0.2.0/24'],
    Interfaces: ['wt0'],
    Users: ['build', 'nobody9'],
    Suffixes: ['corp.example'],
  }

  test('[BYP-4] only with an exit node; the other VPN comes and goes; a name gets an address', async () => {
    vi.useFakeTimers()
    const { bypass, around, changes } = open()
    await bypass.follow(setting, false)
    expect([bypass.current.prefixes, changes()]).toEqual([[], 0])
    await bypass.follow(setting, true)
    expect(bypass.current).toEqual({
      prefixes: ['192.0.2.0/24'],
      uids: [{ first: 1007, last: 1007 }],
      fwmarks: [],
      cgroups: [],
    })
    expect((await bypass.report()).Missing).toEqual(['interface wt0', 'user nobody9'])
    around.faces = [{ name: 'wt0', isTunnel: true, prefixes: ['10.0.0.0/16'] }]
    await vi.advanceTimersByTimeAsync(6_000)
    expect(bypass.current.prefixes).toEqual(['10.0.0.0/16', '192.0.2.0/24'])
    bypass.noteAnswer(answerOf('git.corp.example', '10.99.0.5'))
    expect(bypass.current.prefixes).toContain('10.99.0.5/32')
    expect((await bypass.report()).InEffect).toContainEqual({ Prefix: '10.99.0.5/32', From: 'name git.corp.example' })
    around.faces = []
    await vi.advanceTimersByTimeAsync(6_000)
    expect(bypass.current.prefixes).toEqual(['10.99.0.5/32', '192.0.2.0/24'])
    const before = changes()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(changes()).toBe(before)
    await bypass.follow(setting, false)
    expect(bypass.current.prefixes).toEqual([])
    bypass.close()
  })

  test('[BYP-5] many who ask at once cost one look', async () => {
    let reads = 0
    const faces: ForeignInterface[] = [{ name: 'wt0', isTunnel: true, prefixes: ['10.0.0.0/16'] }]
    const read = async (): Promise<ForeignInterface[]> => {
      reads++
      await new Promise((resolve) => setImmediate(resolve))
      return faces
    }
    const accounts = { uidOf: async () => undefined }
    const bypass = new Bypass({ routes: { read }, accounts, now: () => 0, log: silentLog })
    const answers = await Promise.all(Array.from({ length: 200 }, () => bypass.suggestions()))
    expect(new Set(answers.map((one) => JSON.stringify(one)))).toEqual(
      new Set(['[{"Interface":"wt0","Prefixes":["10.0.0.0/16"]}]']),
    )
    expect(reads).toBe(1)
    await bypass.suggestions()
    expect(reads).toBe(2)
    bypass.close()
  })

  test('[BYP-6] a name server with a new address in each answer does not keep the host busy', async () => {
    vi.useFakeTimers()
    const { bypass, changes } = open()
    await bypass.follow({ ...emptyBypass, Suffixes: ['corp.example'] }, true)
    for (let i = 1; i <= 250; i++) bypass.noteAnswer(answerOf('git.corp.example', `10.99.0.${i}`))
    expect([changes(), bypass.current.prefixes]).toEqual([1, ['10.99.0.1/32']])
    await vi.advanceTimersByTimeAsync(1_000)
    expect([changes(), bypass.current.prefixes.length]).toEqual([2, 250])
    bypass.close()
  })

  test('[BYP-6] no VPN pulls the network itself, or the internet in halves, out of the tunnel', async () => {
    const { bypass, around } = open()
    const prefixes = ['0.0.0.0/1', '128.0.0.0/1', '100.0.0.0/8', '100.64.9.0/24', 'fd7a:115c:a1e0::/64', '8000::/1']
    around.faces = [{ name: 'wt0', isTunnel: true, prefixes }]
    expect(await bypass.suggestions()).toEqual([])
    around.faces = [{ name: 'wt0', isTunnel: true, prefixes: [...prefixes, '10.0.0.0/16'] }]
    expect(await bypass.suggestions()).toEqual([{ Interface: 'wt0', Prefixes: ['10.0.0.0/16'] }])
    await bypass.follow({ ...emptyBypass, Interfaces: ['wt0'] }, true)
    expect(bypass.current.prefixes).toEqual(['10.0.0.0/16'])
    bypass.close()
  })

  test('[BYP-5] suggestions: tunnels with networks that are not in the bypass yet', async () => {
    const { bypass, around } = open()
    around.faces = [
      { name: 'wt0', isTunnel: true, prefixes: ['10.0.0.0/16'] },
      { name: 'eth0', isTunnel: false, prefixes: ['192.168.1.0/24'] },
      { name: 'tun5', isTunnel: true, prefixes: [] },
    ]
    expect(await bypass.suggestions()).toEqual([{ Interface: 'wt0', Prefixes: ['10.0.0.0/16'] }])
    await bypass.follow(setting, true)
    expect(await bypass.suggestions()).toEqual([])
    bypass.close()
  })
})
