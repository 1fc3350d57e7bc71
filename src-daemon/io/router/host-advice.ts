/**
 * What on this host stands in the way of what was applied, with the commands that mend it. Nothing is changed here.
 * [docs/rules/router.md RT-15]
 */
import { readdir } from 'node:fs/promises'
import type { FirewallReport } from './firewall.ts'
import { checkForwarding, setting, sysctlCommands } from './forwarding.ts'
import type { Look } from './ip-program.ts'
import { DEFAULT_ROUTES } from './network-state.ts'
import type { RouterConfig, RouterWarning } from './port.ts'

export async function hostAdvice(
  device: string,
  desired: RouterConfig,
  look: Look,
  firewall: FirewallReport,
): Promise<RouterWarning[]> {
  const warnings: RouterWarning[] = []
  if (!look.facts.policyRouting) warnings.push(noPolicyRouting)
  if (desired.routes.some((route) => DEFAULT_ROUTES.includes(route))) warnings.push(...(await strictFilters(device)))
  if (desired.advertisedRoutes.length === 0) return warnings
  const forwarding = await checkForwarding(desired.advertisedRoutes, device)
  if (forwarding !== undefined) warnings.push(forwarding)
  if (!desired.snatSubnetRoutes && desired.advertisedRoutes.some((route) => DEFAULT_ROUTES.includes(route)))
    warnings.push(noSnat)
  if (desired.statefulFiltering && look.interfaces.some(({ name }) => name === 'docker0')) warnings.push(docker)
  if (firewall.look?.firewalld) warnings.push(firewalld(device, desired))
  if (firewall.look?.ufw && desired.netfilterMode !== 'on') warnings.push(ufw(device))
  return warnings
}

/** Answers to our own datagrams come in where the table without their mark would not send them. */
async function strictFilters(device: string): Promise<RouterWarning[]> {
  if ((await setting('ipv4/conf/all/src_valid_mark')) === '1') return []
  const all = Number(await setting('ipv4/conf/all/rp_filter'))
  const names = await readdir('/proc/sys/net/ipv4/conf').catch(() => [])
  const strict: string[] = []
  for (const name of names.filter((n) => !['all', 'default', 'lo', device].includes(n))) {
    if (Math.max(all, Number(await setting(`ipv4/conf/${name}/rp_filter`))) === 1) strict.push(name)
  }
  if (strict.length === 0) return []
  return [
    {
      code: 'rp-filter-strict',
      text: `The reverse path filter of ${strict.join(', ')} is strict: answers to this machine's own connections beside the exit node are dropped.`,
      fix: await sysctlCommands(['net.ipv4.conf.all.rp_filter = 2']),
    },
  ]
}

const noPolicyRouting: RouterWarning = {
  code: 'no-policy-routing',
  text: 'This kernel has no routing rules: routes are in the main table, and there can be no exceptions from an exit node.',
  fix: [],
}
const noSnat: RouterWarning = {
  code: 'nosnat-with-advertised-exit-node',
  text: 'This machine is an exit node that keeps the addresses of others: the internet does not know the way back to them.',
  fix: ['pintail set --snat-subnet-routes=true'],
}
const docker: RouterWarning = {
  code: 'docker-stateful-filtering',
  text: 'Stateful filtering keeps containers of Docker from opening connections to other machines of the network.',
  fix: ['pintail set --stateful-filtering=false'],
}

function firewalld(device: string, desired: RouterConfig): RouterWarning {
  const masquerade =
    desired.netfilterMode !== 'on' && desired.snatSubnetRoutes ? ['firewall-cmd --permanent --add-masquerade'] : []
  return {
    code: 'firewalld-active',
    text: `firewalld decides after us and refuses what comes out of ${device} unless the interface is in a zone that lets it through.`,
    fix: [`firewall-cmd --permanent --zone=trusted --add-interface=${device}`, ...masquerade, 'firewall-cmd --reload'],
  }
}

function ufw(device: string): RouterWarning {
  return {
    code: 'ufw-active',
    text: `ufw refuses to forward what comes out of ${device} or goes into it.`,
    fix: [`ufw route allow in on ${device}`, `ufw route allow out on ${device}`],
  }
}
