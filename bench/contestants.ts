/** Who is measured: pairs of machines joined by a tunnel of ours, of tailscaled or of wireguard-go, all on one network. */
import { join } from 'node:path'
import type { ControlServer } from '../lab/control-server.ts'
import { Daemon, stockProgram } from '../lab/daemon.ts'
import type { Host } from '../lab/host.ts'
import type { Internet } from '../lab/internet.ts'
import { createKeys, PlainWireGuard } from '../lab/plain-wireguard.ts'
import { requireAddon } from '../src-native/addon.ts'

const PLAIN_PORT = 51820
const PLAIN_MTU = 1280

/** `plain` and `wireguard-go`: plain WireGuard devices, ours and the stock one; the others are daemons of a network. */
export type Kind = 'ipsec-mb' | 'openssl' | 'tailscaled' | PlainKind
export type PlainKind = 'plain' | 'wireguard-go'

export interface Contestant {
  readonly kind: Kind
  readonly near: Host
  readonly far: Host
  /** Of the far machine, inside the tunnel. */
  readonly v4: string
  readonly v6: string | undefined
  /** Of both daemons. */
  pids(): readonly number[]
  close(): Promise<void>
}

export interface Ground {
  readonly internet: Internet
  readonly control: ControlServer
  readonly key: string
  readonly folder: string
}

/** Those that can run here; what is missing is said once. */
export function presentKinds(say: (text: string) => void): Kind[] {
  const { dataPath } = requireAddon('this bench')
  const missing: [Kind, string | undefined][] = [
    ['ipsec-mb', dataPath.hasBackend('ipsec-mb') ? undefined : (dataPath.aeadProblem() ?? 'it cannot be had')],
    ['openssl', undefined],
    ['tailscaled', stockProgram('tailscaled') === undefined ? 'npm run peers installs it' : undefined],
    ['wireguard-go', stockProgram('wireguard') === undefined ? 'npm run peers installs it' : undefined],
  ]
  for (const [kind, why] of missing) if (why !== undefined) say(`without ${kind}: ${why}`)
  return missing.filter(([, why]) => why === undefined).map(([kind]) => kind)
}

export interface OpenOptions {
  readonly tag?: string
  /** What becomes of the two hosts before the daemons start. */
  readonly prepare?: (hosts: readonly [Host, Host]) => Promise<void>
}

export async function openContestant(ground: Ground, kind: Kind, options: OpenOptions = {}): Promise<Contestant> {
  return kind === 'wireguard-go' || kind === 'plain'
    ? openPlain(ground, kind, options)
    : openDaemons(ground, kind, options)
}

export async function startDaemon(
  { internet, control, key, folder }: Ground,
  kind: Exclude<Kind, PlainKind>,
  name: string,
  prepare: (host: Host) => Promise<void> = async () => {},
): Promise<Daemon> {
  const { host } = await internet.publicHost(name)
  await prepare(host)
  const daemon = await Daemon.start(host, {
    kind: kind === 'tailscaled' ? 'stock' : 'ours',
    folder: join(folder, name),
    environment: kind === 'tailscaled' ? {} : { PINTAIL_AEAD: kind },
  })
  await daemon.join(control.url, key, { Hostname: name })
  return daemon
}

async function openDaemons(
  ground: Ground,
  kind: Exclude<Kind, PlainKind>,
  { tag = '', prepare }: OpenOptions,
): Promise<Contestant> {
  const hosts: Host[] = []
  const [near, far] = [
    await startDaemon(ground, kind, `${kind}${tag}-a`, async (host) => void hosts.push(host)),
    await startDaemon(ground, kind, `${kind}${tag}-b`, async (host) => {
      await prepare?.([hosts[0]!, host])
    }),
  ]
  const { TailscaleIPs } = await far.client.status({ peers: false })
  const v4 = TailscaleIPs?.find((ip) => ip.includes('.'))
  if (v4 === undefined) throw new Error(`${kind} has no address`)
  await near.untilDirect(v4, 60_000)
  await far.untilDirect(await near.address(), 60_000)
  return {
    kind,
    near: near.host,
    far: far.host,
    v4,
    v6: TailscaleIPs?.find((ip) => ip.includes(':')),
    pids: () => [near.pid, far.pid],
    close: async () => {
      await Promise.all([near.stop(), far.stop()])
    },
  }
}

let pairs = 0

async function openPlain(
  { internet }: Ground,
  kind: PlainKind,
  { tag = '', prepare }: OpenOptions,
): Promise<Contestant> {
  const number = ++pairs
  const open = async (side: 'a' | 'b') => {
    const { host, address } = await internet.publicHost(`${kind}${tag}-${side}`)
    return { host, underlay: address, side, keys: await createKeys() }
  }
  const [a, b] = [await open('a'), await open('b')]
  await prepare?.([a.host, b.host])
  const up = async (own: typeof a, other: typeof a): Promise<PlainWireGuard> => {
    const device = await PlainWireGuard.start(
      own.host,
      `bench${number}${own.side}`,
      kind === 'plain' ? 'ours' : 'stock',
    )
    const last = (end: typeof a) => (end.side === 'a' ? 1 : 2)
    await device.set('private-key', device.keyFile(own.keys.privateKey), 'listen-port', String(PLAIN_PORT))
    await device.set(
      ...['peer', other.keys.publicKey, 'endpoint', `${other.underlay}:${PLAIN_PORT}`],
      ...['allowed-ips', `10.98.${number}.${last(other)}/32,fd98:${number}::${last(other)}/128`],
    )
    await own.host.must('ip', ['link', 'set', device.name, 'mtu', String(PLAIN_MTU)])
    await device.address(`10.98.${number}.${last(own)}/24`, `fd98:${number}::${last(own)}/64`)
    return device
  }
  const devices = [await up(a, b), await up(b, a)]
  await a.host.must('ping', ['-n', '-c', '1', '-W', '10', `10.98.${number}.2`])
  return {
    kind,
    near: a.host,
    far: b.host,
    v4: `10.98.${number}.2`,
    v6: `fd98:${number}::2`,
    pids: () => devices.map((device) => device.pid),
    close: async () => {
      await Promise.all(devices.map((device) => device.stop()))
    },
  }
}
