/** A daemon's router without the daemon, for tests that kill it: `node dies-while-applying.lab.ts DEVICE FOLDER CLOSED`. */
import { openLinuxRouter } from './linux.ts'
import { plainRouterConfig, type RouterConfig } from './port.ts'

export const client: RouterConfig = {
  ...plainRouterConfig,
  addresses: ['100.64.77.1', 'fd7a:115c:a1e0::4d01'],
  routes: ['100.64.77.2/32', 'fd7a:115c:a1e0::4d02/128'],
  bypass: { ...plainRouterConfig.bypass, prefixes: ['10.0.0.0/16'] },
  netfilterMode: 'on',
  udpPort: 41641,
}
export const exitNode: RouterConfig = {
  ...client,
  routes: ['0.0.0.0/0', '::/0', ...client.routes],
  localRoutes: ['192.0.2.0/24'],
}

if (import.meta.main) {
  const [device = '', folder = '', closed = ''] = process.argv.slice(2)
  const router = await openLinuxRouter(device, { folders: [folder] })
  await router.apply(client)
  await router.apply({ ...exitNode, staysClosedAfterCrash: closed === 'closed' })
  await router.apply(client)
  await router.close()
  process.exit(0)
}
