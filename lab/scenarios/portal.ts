/**
 * F16: a network that lets nothing through before somebody signs in. Health says so, whether we arrive there or the sign-in
 * ends while we are connected; after the sign-in everything is back by itself.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checksOn } from '../checks.ts'
import { ControlServer } from '../control-server.ts'
import { Daemon } from '../daemon.ts'
import { eventually } from '../eventually.ts'
import { Internet } from '../internet.ts'
import type { MapAdditions } from '../map-additions.ts'
import type { Sheet } from '../measure-line.ts'

const HEALTH_SECONDS = 30
const BACK_SECONDS = 15

export interface PortalOptions {
  readonly folder: string
  /** Only the arrival, and a person who types fast. */
  readonly isBrief?: boolean
}

export async function portal(sheet: Sheet, { folder, isBrief = false }: PortalOptions): Promise<void> {
  const checks = checksOn(sheet, 'captive portal')
  const internet = await Internet.create()
  const server = await internet.publicHost('control', ['203.0.113.10'])
  server.host.start(process.execPath, ['-e', RELAY_PORT_80])
  const control = await ControlServer.start(server, {
    folder: join(folder, 'c'),
    mapAdditions: join(folder, 'map-additions.json'),
  })
  const additions: MapAdditions = { relay: { CanPort80: true } }
  writeFileSync(join(folder, 'map-additions.json'), JSON.stringify(additions))
  const key = await control.createKey()
  const lan = await internet.lan(['laptop'], 'apdf')
  const { host } = lan.hosts[0]!
  lan.router.start(process.execPath, ['-e', SIGN_IN_PAGE])
  const laptop = await Daemon.start(host, { kind: 'ours', folder: join(folder, 'l') })
  const peer = await Daemon.start((await internet.publicHost('peer')).host, { kind: 'ours', folder: join(folder, 'p') })
  const setPortal = (isThere: boolean): Promise<string> =>
    lan.router.must('nft', ['-f', '-'], { input: isThere ? PORTAL : 'delete table ip portal\n' })
  const told = async (): Promise<boolean> =>
    (await laptop.status()).Health?.some((text) => text.includes('before somebody signs in')) === true
  const after = async (what: string, happened: () => Promise<boolean>, seconds: number): Promise<void> => {
    const started = performance.now()
    const tookMs = await eventually(what, async () => ((await happened()) ? performance.now() - started : undefined), {
      withinMs: 3 * seconds * 1000,
      everyMs: 200,
    }).catch(() => undefined)
    checks.seconds(what, tookMs, seconds)
  }
  try {
    await laptop.join(control.url, key, { Hostname: 'laptop' })
    await peer.join(control.url, key, { Hostname: 'peer' })
    const address = await peer.address()
    const { pid } = laptop
    const isConnected = async (): Promise<boolean> => {
      if (await told()) return false
      const nodes = JSON.parse(await control.admin('nodes', 'list', '--json')) as { name: string; online: boolean }[]
      const isOnline = nodes.some(({ name, online }) => name === 'laptop' && online)
      return isOnline && (await laptop.icmp(address, { waitSeconds: 1 })).length > 0
    }
    await eventually('both are connected', async () => (await isConnected()) || undefined, { withinMs: 30_000 })
    checks.is('without a portal, nothing is said of one', await told(), false)

    await host.must('ip', ['link', 'set', 'eth0', 'down'])
    await setPortal(true)
    await host.must('ip', ['link', 'set', 'eth0', 'up'])
    await host.must('ip', ['route', 'add', 'default', 'via', '10.1.0.1'])
    await after('we arrive: health says so', told, HEALTH_SECONDS)
    checks.is(
      'and a browser sees the page',
      (await host.run('curl', ['-sI', 'http://203.0.113.10/'])).stdout.includes('302'),
      true,
    )
    await new Promise((resolve) => setTimeout(resolve, isBrief ? 1_000 : 20_000)) // a person types
    await setPortal(false)
    await after('signed in: connected', isConnected, BACK_SECONDS)

    if (!isBrief) {
      const busy = host.start('ping', ['-n', '-q', '-i', '0.5', address])
      await setPortal(true)
      await after('the sign-in ends while we are connected: health says so', told, HEALTH_SECONDS)
      await setPortal(false)
      await after('signed in again: connected', isConnected, BACK_SECONDS)
      busy.kill('SIGKILL')
    }
    checks.is('the daemon is the same process', laptop.pid, pid)
  } finally {
    await Promise.all([laptop.stop(), peer.stop()])
    await control.stop()
    await internet.close()
  }
}

/** What relays answer on port 80. */
const RELAY_PORT_80 = `require('http').createServer((request, response) => {
  const challenge = request.headers['x-tailscale-challenge']
  response.writeHead(204, challenge ? { 'X-Tailscale-Response': 'response ' + challenge } : {}).end()
}).listen(80)`
const SIGN_IN_PAGE = `require('http').createServer((_, response) =>
  response.writeHead(302, { Location: 'http://10.1.0.1/login' }).end()).listen(8081)`
const PORTAL = `
table ip portal {
  chain pre {
    type nat hook prerouting priority -102;
    iifname "lan" tcp dport 80 redirect to :8081
  }
  chain forward {
    type filter hook forward priority -11;
    iifname "lan" reject with icmp type admin-prohibited
  }
}
`
