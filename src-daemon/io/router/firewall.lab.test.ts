import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { canIptables, chainRules, ip, linesOf, networkSnapshot, nft, ruleset, run } from './host-state.lab.ts'
import { openLinuxRouter } from './linux.ts'
import { changesDuring } from './monitored.lab.ts'
import { plainRouterConfig, type Router, type RouterConfig } from './port.ts'

const device = `dmf${process.pid % 10_000}`
const applied = { kind: 'applied', warnings: [] }
const desired: RouterConfig = {
  ...plainRouterConfig,
  addresses: ['100.64.77.1', 'fd7a:115c:a1e0::4d01'],
  routes: ['100.64.77.2/32', 'fd7a:115c:a1e0::4d02/128'],
  netfilterMode: 'on',
  udpPort: 41641,
}
const validMark = (): string => run('cat', '/proc/sys/net/ipv4/conf/all/src_valid_mark').trim()

let router: Router
beforeEach(() => {
  if (existsSync(`/proc/sys/net/ipv4/conf/${device}`)) ip('tuntap', 'del', 'dev', device, 'mode', 'tun')
  ip('tuntap', 'add', 'dev', device, 'mode', 'tun')
  ip('link', 'set', device, 'mtu', '1280')
})
afterEach(() => {
  ip('tuntap', 'del', 'dev', device, 'mode', 'tun')
})

describe('nftables', () => {
  let before = ''
  beforeEach(async () => {
    before = networkSnapshot(device)
    router = await openLinuxRouter(device)
  })
  afterEach(async () => {
    await router.close()
    try {
      expect(networkSnapshot(device)).toBe(before)
    } finally {
      nft('flush ruleset\n')
    }
  })

  test('[RT-11] chains of stock daemons, first in INPUT and FORWARD', async () => {
    expect(await router.apply(desired)).toEqual(applied)
    expect(chainRules('ip', 'filter', 'INPUT')[0]).toBe('counter jump ts-input')
    expect(chainRules('ip6', 'filter', 'FORWARD')[0]).toBe('counter jump ts-forward')
    expect(chainRules('ip', 'filter', 'ts-input')).toEqual([
      'iifname "lo" ip saddr 100.64.77.1 counter accept',
      `iifname "${device}" counter accept`,
      'udp dport 41641 counter accept',
      `iifname != "${device}" ip saddr 100.115.92.0/23 counter return`,
      `iifname != "${device}" ip saddr 100.64.0.0/10 counter drop`,
    ])
    expect(chainRules('ip6', 'filter', 'ts-input')).toEqual([
      'iifname "lo" ip6 saddr fd7a:115c:a1e0::4d01 counter accept',
      `iifname "${device}" counter accept`,
      'udp dport 41641 counter accept',
    ])
    expect(chainRules('ip', 'filter', 'ts-forward')).toEqual([
      'meta mark & 0x00ff0000 == 0x00040000 counter accept',
      `oifname "${device}" ip saddr 100.64.0.0/10 counter drop`,
      `oifname "${device}" counter accept`,
    ])
    const mark = chainRules('ip', 'pintail', 'ts-mark')
    expect(mark).toHaveLength(1)
    expect(mark[0]).toMatch(
      new RegExp(`^iifname "${device}" counter meta mark set meta mark & 0xff0[04]ffff \\| 0x00040000$`),
    )
    const masquerade = ['meta mark & 0x00ff0000 == 0x00040000 counter masquerade']
    expect(chainRules('ip', 'pintail', 'ts-postrouting')).toEqual(masquerade)
    expect(chainRules('ip6', 'pintail', 'ts-postrouting')).toEqual(masquerade)
    expect(validMark()).toBe('1')
  })

  test.skipIf(!canIptables('nft'))('[RT-12] iptables of this host still reads and writes every table', async () => {
    run('iptables-nft', '-t', 'nat', '-A', 'POSTROUTING', '-s', '172.17.0.0/16', '-j', 'MASQUERADE')
    run('iptables-nft', '-A', 'FORWARD', '-j', 'ACCEPT')
    const rulesBefore = ruleset()
    await router.apply({ ...desired, statefulFiltering: true })
    run('iptables-nft', '-t', 'mangle', '-A', 'FORWARD', '-j', 'ACCEPT')
    run('iptables-nft', '-t', 'mangle', '-D', 'FORWARD', '-j', 'ACCEPT')
    const saved = linesOf(run('iptables-nft-save'))
    expect(saved.join('\n')).not.toMatch(/incompatible/)
    expect(saved.filter((line) => / ts-forward$|^-A ts-forward|^-A FORWARD/.test(line))).toEqual([
      '-A FORWARD -j ts-forward',
      '-A FORWARD -j ACCEPT',
      '-A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT',
      `-A ts-forward -s 100.64.0.0/10 -o ${device} -j DROP`,
      `-A ts-forward -o ${device} -j ACCEPT`,
    ])
    await router.close()
    nft('delete table ip mangle\n')
    expect(ruleset()).toEqual(rulesBefore)
    nft('flush ruleset\n')
  })

  test('[RT-11] options: no masquerading, stateful, other people in 100.64.0.0/10', async () => {
    await router.apply({
      ...desired,
      snatSubnetRoutes: false,
      statefulFiltering: true,
      dropsForeignOverlay: false,
      udpPort: 0,
    })
    expect(ruleset().join('\n')).not.toContain('masquerade')
    expect(chainRules('ip6', 'pintail', 'ts-mark').slice(1)).toEqual([
      `iifname "${device}" return`,
      `oifname "${device}" ct state != { established, related } counter drop`,
    ])
    expect(chainRules('ip', 'filter', 'ts-input').slice(2)).toEqual([
      `iifname != "${device}" ip saddr 100.64.0.0/10 counter return`,
    ])
  })

  test('[RT-3] a second apply writes no rule; one that looks neither; a flushed ruleset comes back', async () => {
    await router.apply(desired)
    const whole = ruleset()
    const silence = await changesDuring(async () => {
      await router.apply(desired)
      router.forget()
      expect(await router.apply(desired)).toEqual(applied)
    })
    expect(silence).toEqual([])
    nft('flush ruleset\n')
    router.forget()
    expect(await router.apply(desired)).toEqual(applied)
    expect(ruleset().sort()).toEqual(whole.sort())
  })

  test('[RT-14] on → nodivert → off → nodivert → on', async () => {
    await router.apply(desired)
    const whole = ruleset()
    await router.apply({ ...desired, netfilterMode: 'nodivert' })
    expect(ruleset().join('\n')).not.toMatch(/jump|hook/)
    expect(chainRules('ip', 'filter', 'ts-input')).toHaveLength(5)
    expect(chainRules('ip6', 'filter', 'ts-forward')[0]).toBe(`iifname "${device}" counter accept`)
    expect(validMark()).toBe('0')
    await router.apply({ ...desired, netfilterMode: 'off' })
    expect(ruleset()).toEqual([])
    await router.apply({ ...desired, netfilterMode: 'nodivert' })
    await router.apply(desired)
    expect(ruleset().sort()).toEqual(whole.sort())
  })

  test('[RT-9] what others put into our base chains stays, and so do the chains', async () => {
    await router.apply(desired)
    nft('add rule ip filter INPUT tcp dport 9 accept\n')
    await router.close()
    expect(ruleset()).toEqual([
      'table ip filter {',
      'chain INPUT {',
      'type filter hook input priority filter; policy accept;',
      'tcp dport 9 accept',
      '}',
      '}',
    ])
    nft('flush ruleset\n')
  })

  test('[RT-10] chains of a stock daemon: a conflict that says whose, and nothing is changed', async () => {
    const chains =
      'table ip filter {\n chain ts-input {\n iifname "tailscale0*" counter accept\n }\n chain ts-forward {\n }\n}\n'
    nft(chains)
    const rulesBefore = ruleset()
    expect(await router.apply(desired)).toMatchObject({
      kind: 'conflict',
      what: 'firewall-chains',
      interfaceName: 'tailscale0',
    })
    expect(ruleset()).toEqual(rulesBefore)
    expect(await router.apply({ ...desired, netfilterMode: 'off' })).toEqual(applied)
    await router.close()
    expect(ruleset()).toEqual(rulesBefore)
    nft('flush ruleset\n')
  })
})

describe.each(['nft', 'legacy'].filter(canIptables))('iptables (%s), where there is no nftables', (variant) => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-programs-'))
  const save = (family = ''): string[] =>
    linesOf(run(`ip${family}tables-${variant}-save`)).filter((line) => line.startsWith('-A') || line.startsWith(':ts'))
  beforeAll(() => {
    mkdirSync(folder, { recursive: true })
    symlinkSync(run('which', 'ip').trim(), join(folder, 'ip'))
    for (const name of ['iptables', 'ip6tables'])
      for (const verb of ['save', 'restore'])
        symlinkSync(run('which', `${name}-${variant}-${verb}`).trim(), join(folder, `${name}-${verb}`))
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
    nft('flush ruleset\n')
  })
  beforeEach(async () => {
    router = await openLinuxRouter(device, { folders: [folder] })
  })
  afterEach(async () => {
    await router.close()
    expect(save()).toEqual([])
    expect(save('6')).toEqual([])
    expect(validMark()).toBe('0')
  })

  test('[RT-13] the chains of stock daemons, rule by rule', async () => {
    expect(await router.apply({ ...desired, statefulFiltering: true })).toEqual(applied)
    expect(save().filter((line) => line.startsWith('-A'))).toEqual(
      expect.arrayContaining([
        '-A INPUT -j ts-input',
        '-A FORWARD -j ts-forward',
        '-A POSTROUTING -j ts-postrouting',
        '-A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE',
        `-A ts-forward -i ${device} -j MARK --set-xmark 0x40000/0xff0000`,
        '-A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT',
        `-A ts-forward -s 100.64.0.0/10 -o ${device} -j DROP`,
        `-A ts-forward -o ${device} -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP`,
        `-A ts-forward -o ${device} -j ACCEPT`,
        '-A PREROUTING -m conntrack --ctstate RELATED,ESTABLISHED -m connmark ! --mark 0x0/0xff0000 -j CONNMARK --restore-mark --nfmask 0xff0000 --ctmask 0xff0000',
      ]),
    )
    expect(save('6')).toContain(`-A ts-input -i ${device} -j ACCEPT`)
    expect(validMark()).toBe('1')
    const whole = [...save(), ...save('6')]
    router.forget()
    expect(await changesDuring(() => router.apply({ ...desired, statefulFiltering: true }))).toEqual([])
    expect([...save(), ...save('6')]).toEqual(whole)
  })

  test('[RT-14] on → nodivert → off → on', async () => {
    await router.apply(desired)
    const whole = save()
    await router.apply({ ...desired, netfilterMode: 'nodivert' })
    expect(save().join('\n')).not.toMatch(/-A (INPUT|FORWARD|POSTROUTING|PREROUTING|OUTPUT)/)
    expect(save().join('\n')).toContain('-A ts-input')
    await router.apply({ ...desired, netfilterMode: 'off' })
    expect(save()).toEqual([])
    await router.apply(desired)
    expect(save()).toEqual(whole)
  })

  test('[RT-2] groups need nftables, and this says so', async () => {
    const bypass = { ...desired.bypass, cgroups: ['user.slice'] }
    const result = await router.apply({ ...desired, bypass })
    expect(result).toMatchObject({ kind: 'applied', warnings: [{ code: 'bypass-groups-need-nftables' }] })
  })
})

test.skipIf(!canIptables('legacy'))(
  '[RT-13] a host whose iptables fills tables of the old kind gets ours there',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pt-programs-'))
    try {
      for (const name of ['ip', 'nft']) symlinkSync(run('which', name).trim(), join(folder, name))
      for (const name of ['iptables', 'ip6tables'])
        for (const verb of ['save', 'restore'])
          symlinkSync(run('which', `${name}-legacy-${verb}`).trim(), join(folder, `${name}-${verb}`))
      run('iptables-legacy', '-P', 'FORWARD', 'DROP')
      router = await openLinuxRouter(device, { folders: [folder] })
      expect(await router.apply(desired)).toEqual(applied)
      expect(run('iptables-legacy-save')).toContain('-A FORWARD -j ts-forward')
      expect(ruleset().join('\n')).not.toContain('ts-')
      await router.close()
      expect(run('iptables-legacy-save')).not.toContain('ts-')
    } finally {
      run('iptables-legacy', '-P', 'FORWARD', 'ACCEPT')
      rmSync(folder, { recursive: true })
    }
  },
)
