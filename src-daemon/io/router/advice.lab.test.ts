import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkForwarding, checkUdpGroForwarding } from './forwarding.ts'
import { ip, nft } from './host-state.lab.ts'
import { openLinuxRouter } from './linux.ts'
import { plainRouterConfig, type Router, type RouterConfig } from './port.ts'

const device = `dma${process.pid % 10_000}`
const [wan, peer] = [`${device}w`, `${device}p`]
const set = (name: string, value: string): void => writeFileSync(`/proc/sys/net/${name}`, value)
const desired: RouterConfig = {
  ...plainRouterConfig,
  addresses: ['100.64.77.1'],
  advertisedRoutes: ['192.0.2.0/24', '0.0.0.0/0', '::/0'],
  netfilterMode: 'on',
}
let router: Router
beforeEach(async () => {
  ip('tuntap', 'add', 'dev', device, 'mode', 'tun')
  ip('link', 'add', wan, 'type', 'veth', 'peer', 'name', peer)
  router = await openLinuxRouter(device)
})
afterEach(async () => {
  await router.close()
  ip('link', 'del', wan)
  ip('tuntap', 'del', 'dev', device, 'mode', 'tun')
  nft('flush ruleset\n')
  for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv4/conf/all/rp_filter']) set(name, '0')
})
const codes = async (config: RouterConfig): Promise<string[]> => {
  const result = await router.apply(config)
  return result.kind === 'applied' ? result.warnings.map(({ code }) => code) : [result.kind]
}

test('[RT-15] U14: forwarding that is off is said with what switches it on, by family', async () => {
  expect(await checkForwarding(desired.advertisedRoutes, device)).toMatchObject({
    code: 'ip-forwarding-off',
    text: expect.stringContaining('IPv4 and IPv6'),
    fix: [
      "echo 'net.ipv4.ip_forward = 1' | tee -a /etc/sysctl.d/99-pintail.conf",
      "echo 'net.ipv6.conf.all.forwarding = 1' | tee -a /etc/sysctl.d/99-pintail.conf",
      'sysctl -p /etc/sysctl.d/99-pintail.conf',
    ],
  })
  expect(await codes(desired)).toContain('ip-forwarding-off')
  expect(await checkForwarding([])).toBeUndefined()
  set('ipv4/ip_forward', '1')
  expect(await checkForwarding(['192.0.2.0/24'], device)).toBeUndefined()
  expect((await checkForwarding(desired.advertisedRoutes, device))?.text).toContain('(IPv6)')
  set('ipv6/conf/all/forwarding', '1')
  expect(await codes(desired)).toEqual([])
})

test('[RT-15] U14: forwarding on some interfaces names the others', async () => {
  set(`ipv4/conf/${wan}/forwarding`, '1')
  expect((await checkForwarding(['192.0.2.0/24'], device))?.text).toMatch(new RegExp(`IPv4 on .*${peer}`))
})

test('[RT-15] what else stands in the way, each with its commands', async () => {
  set('ipv4/ip_forward', '1')
  set('ipv6/conf/all/forwarding', '1')
  ip('link', 'add', 'docker0', 'type', 'veth', 'peer', 'name', `${device}d`)
  try {
    router.forget()
    expect(await codes({ ...desired, statefulFiltering: true, snatSubnetRoutes: false })).toEqual([
      'nosnat-with-advertised-exit-node',
      'docker-stateful-filtering',
    ])
  } finally {
    ip('link', 'del', 'docker0')
  }
  nft('add table inet firewalld\nadd table ip filter\nadd chain ip filter ufw-user-forward\n')
  router.forget()
  expect(await codes({ ...desired, netfilterMode: 'nodivert' })).toEqual(['firewalld-active', 'ufw-active'])
  const result = await router.apply(desired)
  expect(result).toMatchObject({
    warnings: [
      {
        code: 'firewalld-active',
        fix: [`firewall-cmd --permanent --zone=trusted --add-interface=${device}`, 'firewall-cmd --reload'],
      },
    ],
  })
})

test('[RT-15] strict reverse path filters are in the way only where marks are not restored', async () => {
  set('ipv4/conf/all/rp_filter', '1')
  const exitNode = { ...desired, advertisedRoutes: [], routes: ['0.0.0.0/0'] }
  expect(await codes({ ...exitNode, netfilterMode: 'off' })).toEqual(['rp-filter-strict'])
  expect(await codes(exitNode)).toEqual([])
})

test('[RT-15] receive offload: silence where there is no default route', async () => {
  expect(await checkUdpGroForwarding()).toBeUndefined()
})
