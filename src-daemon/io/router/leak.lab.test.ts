import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../../../lab/eventually.ts'
import { client, exitNode } from './dies-while-applying.lab.ts'
import { ip, nft, run } from './host-state.lab.ts'
import { openLinuxRouter } from './linux.ts'
import type { RouterConfig } from './port.ts'

const id = process.pid % 10_000
const device = `dml${id}`
const [wan, peer, internet] = [`wan${id}`, `per${id}`, `net${id}`]
const flood = fileURLToPath(new URL('./flood.lab.ts', import.meta.url))
const FAR_4 = '198.51.100.7'
const FAR_6 = '2001:db8:99::7'
const groupRoot = existsSync('/sys/fs/cgroup/cgroup.controllers') ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified'
const group = `pt-bypass-${id}`

const inside = (...words: string[]): string => run('ip', 'netns', 'exec', internet, ...words)
/** What left by the other way, counted where it arrives. */
const arrived = (): number[] =>
  [...inside('nft', 'list', 'ruleset').matchAll(/packets (\d+)/g)].map(([, count]) => Number(count))
const bothArrive = (): true | undefined => arrived().every((count) => count > 100) || undefined
const forgetArrived = (): void => {
  inside('nft', 'reset', 'counters')
}
const answers = (command: string): boolean => {
  try {
    run('sh', '-c', command)
    return true
  } catch {
    return false
  }
}

beforeAll(() => {
  ip('netns', 'add', internet)
  ip('link', 'add', wan, 'type', 'veth', 'peer', 'name', peer, 'netns', internet)
  ip('address', 'add', '203.0.113.9/24', 'dev', wan)
  ip('address', 'add', '2001:db8:1::9/64', 'dev', wan, 'nodad')
  ip('link', 'set', wan, 'up')
  for (const words of [
    `addr add 203.0.113.1/24 dev ${peer}`,
    `addr add 2001:db8:1::1/64 dev ${peer} nodad`,
    `addr add ${FAR_4}/32 dev lo`,
    `addr add ${FAR_6}/128 dev lo nodad`,
    'link set lo up',
    `link set ${peer} up`,
  ])
    ip('-n', internet, ...words.split(' '))
  ip('route', 'add', 'default', 'via', '203.0.113.1')
  ip('-6', 'route', 'add', 'default', 'via', '2001:db8:1::1')
  inside(
    'nft',
    `add table inet far
add counter inet far v4
add counter inet far v6
add chain inet far in { type filter hook prerouting priority -300 ; }
add rule inet far in ip daddr ${FAR_4} counter name v4
add rule inet far in ip6 daddr ${FAR_6} counter name v6
`,
  )
  ip('tuntap', 'add', 'dev', device, 'mode', 'tun')
})
afterAll(() => {
  ip('tuntap', 'del', 'dev', device, 'mode', 'tun')
  ip('netns', 'del', internet)
  nft('flush ruleset\n')
})

test('[RT-4] whatever changes while an exit node is chosen, not one packet leaves by another way', async () => {
  let router = await openLinuxRouter(device)
  const apply = async (desired: RouterConfig): Promise<void> => {
    expect(await router.apply(desired)).toEqual({ kind: 'applied', warnings: [] })
  }
  const closed: RouterConfig = { ...exitNode, staysClosedAfterCrash: true }
  const sender = spawn(process.execPath, [flood, FAR_4, FAR_6], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  sender.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  try {
    await eventually('the sender runs', () => said.includes('ready') || undefined, { withinMs: 10_000 })
    await apply(client)
    // Both: what still waits for a neighbour's answer would arrive later, although it was sent now.
    await eventually('without an exit node all of it arrives', bothArrive, { withinMs: 10_000 })
    await apply(closed)
    forgetArrived()
    for (let turn = 0; turn < 5; turn++) {
      await apply(exitNode)
      await apply({ ...closed, localRoutes: ['203.0.113.0/24', '2001:db8:1::/64'] })
      await apply({ ...closed, routes: [...closed.routes, '203.0.113.0/24', '10.0.0.0/8'], localRoutes: [] })
      await apply({ ...closed, bypass: { ...closed.bypass, prefixes: ['10.1.0.0/16', 'fd00:9::/32'] } })
      await apply({ ...closed, netfilterMode: 'nodivert' })
      await apply({ ...closed, addresses: ['100.64.77.9', 'fd7a:115c:a1e0::9'], netfilterMode: 'off' })
      router.forget()
      await apply(closed)
      ip('link', 'set', device, 'down') // an administrator
      router.forget()
      await apply(closed)
      router.forget()
      router = await openLinuxRouter(device) // as after a SIGKILL: the first one never said goodbye
      await apply(closed)
    }
    expect(arrived()).toEqual([0, 0])
    await apply(client)
    await eventually('and without one it arrives again', bothArrive, { withinMs: 10_000 })
  } finally {
    sender.kill()
    await new Promise((resolve) => sender.once('close', resolve))
    await router.close()
  }
  const tried = Number(said.split('\n')[1])
  console.log(`${tried} datagrams were tried while 50 changes were made`)
  expect(tried).toBeGreaterThan(1_000)
})

test('[RT-2] a user, a destination and a mark that do not take the exit node', async () => {
  const router = await openLinuxRouter(device)
  try {
    const bypass = {
      prefixes: ['10.0.0.0/16'],
      uids: [{ first: 12_345, last: 12_345 }],
      fwmarks: [{ mark: 0x7, mask: 0xff }],
      cgroups: [],
    }
    await router.apply({ ...exitNode, bypass })
    const way = (...words: string[]): string => / dev (\S+)/.exec(ip('route', 'get', ...words))?.[1] ?? ''
    expect(way(FAR_4)).toBe(device)
    expect(way(FAR_6)).toBe(device)
    expect(way('10.0.1.100')).toBe(wan)
    expect(way(FAR_4, 'uid', '12345')).toBe(wan)
    expect(way(FAR_6, 'uid', '12345')).toBe(wan)
    expect(way(FAR_4, 'mark', '0x107')).toBe(wan)
    expect(way('100.64.0.99', 'uid', '12345'), 'other machines are never spoken to uncovered').toBe(device)
    expect(way('fd7a:115c:a1e0::99', 'uid', '12345')).toBe(device)
    expect(way('100.64.0.99', 'mark', '0x107')).toBe(device)
    expect(way('192.0.2.1')).toBe(wan)
  } finally {
    await router.close()
  }
})

test('[RT-7] closed, neighbours on the link are still heard', async () => {
  const router = await openLinuxRouter(device)
  try {
    await router.apply({ ...exitNode, staysClosedAfterCrash: true })
    expect(ip('-6', 'route', 'get', 'fe80::1', 'oif', wan)).toContain(`dev ${wan}`)
    expect(ip('-6', 'route', 'get', 'ff02::1', 'oif', wan)).toContain(`dev ${wan}`)
    expect(ip('route', 'get', '224.0.0.251', 'oif', wan)).toContain(`dev ${wan}`)
    expect(ip('route', 'get', '255.255.255.255', 'oif', wan)).toContain(`dev ${wan}`)
  } finally {
    await router.close()
  }
})

test.skipIf(!answers(`mkdir ${groupRoot}/${group}-probe && rmdir ${groupRoot}/${group}-probe`))(
  '[RT-2] a control group that does not take the exit node, behind strict reverse path filters',
  async () => {
    if (groupRoot !== '/sys/fs/cgroup') run('mount', '--bind', groupRoot, '/sys/fs/cgroup')
    mkdirSync(`/sys/fs/cgroup/${group}`)
    const router = await openLinuxRouter(device)
    try {
      run(
        'sh',
        '-c',
        `echo 1 > /proc/sys/net/ipv4/conf/${wan}/rp_filter; echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter`,
      )
      const bypass = { ...exitNode.bypass, cgroups: [group, 'not-there.slice'] }
      expect(await router.apply({ ...exitNode, bypass })).toMatchObject({
        kind: 'applied',
        warnings: [{ code: 'bypass-group-missing' }],
      })
      for (const far of [FAR_4, FAR_6]) {
        const ping = `ping -n -c 1 -W 1 ${far}`
        expect(answers(ping), 'outside of the group').toBe(false)
        expect(answers(`echo $$ > /sys/fs/cgroup/${group}/cgroup.procs && exec ${ping}`), 'inside').toBe(true)
      }
    } finally {
      run('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter')
      await router.close()
      rmdirSync(`/sys/fs/cgroup/${group}`)
    }
  },
)
