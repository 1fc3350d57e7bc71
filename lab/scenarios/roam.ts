/**
 * F4: the network under us moves – the interface flaps, the address changes, the default route goes to another interface,
 * that one goes away. What flows over a direct path and over a relay goes on, and TCP connections inside live.
 */
import { join } from 'node:path'
import { checksOn } from '../checks.ts'
import { ControlServer } from '../control-server.ts'
import { Daemon } from '../daemon.ts'
import { execute, type Host, ip } from '../host.ts'
import { Internet } from '../internet.ts'
import type { Sheet } from '../measure-line.ts'
import { steadyStream } from '../steady-stream.ts'

const DIRECT_SECONDS = 3
const RELAY_SECONDS = 5
/** How long after an event pings are watched: longer than the longest that may be lost. */
const WATCH_SECONDS = 6
const PING_SECONDS = 0.05

export interface RoamOptions {
  readonly folder: string
  /** Only an address that changes and an interface that goes away. */
  readonly isBrief?: boolean
}

export async function roam(sheet: Sheet, { folder, isBrief = false }: RoamOptions): Promise<void> {
  const checks = checksOn(sheet, 'a laptop that moves')
  const internet = await Internet.create()
  const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
    folder: join(folder, 'c'),
  })
  const key = await control.createKey()
  const wifi = await internet.lan(['laptop'], 'apdf')
  const mobile = await internet.lan(['neighbour'], 'apdf')
  const laptop = wifi.hosts[0]!.host
  await plugMobile(laptop, mobile.router)
  const open = async (host: Host, name: string): Promise<Daemon> => {
    const daemon = await Daemon.start(host, { kind: 'ours', folder: join(folder, name) })
    await daemon.join(control.url, key, { Hostname: name })
    return daemon
  }
  const daemons: Daemon[] = []
  try {
    const client = await open(laptop, 'laptop')
    daemons.push(client)
    const direct = await open((await internet.publicHost('direct')).host, 'direct')
    daemons.push(direct)
    const relayed = await open((await internet.lan(['relayed'], 'udp3478')).hosts[0]!.host, 'relayed')
    daemons.push(relayed)
    const targets = [
      { name: 'direct', seconds: DIRECT_SECONDS, daemon: direct, address: await direct.address() },
      { name: 'relay', seconds: RELAY_SECONDS, daemon: relayed, address: await relayed.address() },
    ]
    await client.untilDirect(targets[0]!.address, 30_000)
    await client.icmp(targets[1]!.address, { count: 3, waitSeconds: 5 })
    const path = (await client.ping(targets[1]!.address)).DERPRegionID
    checks.is('the other is reached over the relay', path > 0, true)

    const eventCount = isBrief ? 3 : 4
    const seconds = eventCount * WATCH_SECONDS + 4
    const streams = targets.map(({ daemon, address }) => steadyStream(laptop, daemon.host, address, seconds))
    const pings = targets.map(({ address }) => pingTimes(laptop, address, seconds + 2))
    const events: { readonly what: string; readonly at: number }[] = []
    const event = async (what: string, happen: () => Promise<unknown>): Promise<void> => {
      await happen()
      events.push({ what, at: Date.now() / 1000 })
      await new Promise((resolve) => setTimeout(resolve, WATCH_SECONDS * 1000))
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const flap = async (): Promise<void> => {
      await ip(`-n ${laptop.name} link set eth0 down`)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      await ip(`-n ${laptop.name} link set eth0 up`, `-n ${laptop.name} route add default via 10.1.0.1 dev eth0`)
    }
    if (!isBrief) await event('the interface was down for a second', flap)
    await event('another address', async () => {
      await laptop.must('sysctl', ['-qw', 'net.ipv4.conf.eth0.promote_secondaries=1'])
      await ip(
        `-n ${laptop.name} addr add 10.1.0.77/24 dev eth0`,
        `-n ${laptop.name} addr del 10.1.0.2/24 dev eth0`,
        `-n ${laptop.name} route replace default via 10.1.0.1 dev eth0 metric 100`,
      )
    })
    await event('the default route goes to another interface', () =>
      ip(`-n ${laptop.name} route add default via 10.2.0.1 dev mobile0 metric 50`),
    )
    await event('that interface goes away', () => ip(`-n ${laptop.name} link del mobile0`))

    const times = await Promise.all(pings)
    for (const { what, at } of events)
      for (const [index, { name, seconds: limit }] of targets.entries())
        checks.seconds(`${what}: longest silence, ${name}`, longestSilenceMs(times[index]!, at), limit)
    for (const [index, report] of (await Promise.all(streams)).entries()) {
      const { sent, received, wrong, error } = report
      const said = error ?? (sent > 0 && sent === received && wrong === 0 ? 'whole' : `${received} of ${sent} bytes`)
      checks.is(`a TCP connection over all of it, ${targets[index]!.name}`, said, 'whole')
    }
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.stop()))
    await control.stop()
    await internet.close()
  }
}

async function plugMobile(laptop: Host, router: Host): Promise<void> {
  await ip(
    `link add mobile0 netns ${laptop.name} type veth peer name mobile netns ${router.name}`,
    `-n ${router.name} link set mobile master lan up`,
    `-n ${laptop.name} link set mobile0 up`,
    `-n ${laptop.name} addr add 10.2.0.9/24 dev mobile0`,
  )
}

/** When answers came, in seconds since 1970. */
async function pingTimes(from: Host, address: string, seconds: number): Promise<number[]> {
  const words = ['-D', '-n', '-i', String(PING_SECONDS), '-W', '1', '-w', String(Math.ceil(seconds)), address]
  const { stdout } = await execute('ip', ['netns', 'exec', from.name, 'ping', ...words], {
    timeoutMs: (seconds + 10) * 1000,
  })
  return [...stdout.matchAll(/^\[([\d.]+)\] .* time=/gm)].map((match) => Number(match[1]))
}

function longestSilenceMs(times: readonly number[], at: number): number {
  const inside = times.filter((time) => time > at && time < at + WATCH_SECONDS)
  const marks = [at, ...inside, at + WATCH_SECONDS]
  return Math.max(...marks.slice(1).map((mark, i) => mark - marks[i]!)) * 1000
}
