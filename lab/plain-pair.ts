/** Two plain WireGuard devices, each on a host of its own, that know each other by key and address. */
import type { Host } from './host.ts'
import type { Internet } from './internet.ts'
import { createKeys, PlainWireGuard } from './plain-wireguard.ts'

const PORT = 51820
let pairs = 0

export interface PlainEnd {
  readonly device: PlainWireGuard
  readonly host: Host
  /** Inside the tunnel. */
  readonly address: string
  /** Of the host. */
  readonly underlay: string
  readonly publicKey: string
}

export interface PlainPair {
  readonly a: PlainEnd
  readonly b: PlainEnd
  stop(): Promise<void>
}

/** `stepsBack`: the wall clock of the first, one of ours, does. `meetAt`: where each looks for the other, when that is not the other's host. */
export async function openPlainPair(
  internet: Internet,
  kinds: readonly ['ours' | 'stock', 'ours' | 'stock'],
  { isFast = false, stepsBack = false, meetAt }: { isFast?: boolean; stepsBack?: boolean; meetAt?: string } = {},
): Promise<PlainPair> {
  const number = ++pairs
  const open = async (kind: 'ours' | 'stock', side: 'a' | 'b') => {
    const { host, address: underlay } = await internet.publicHost(`plain-${side}${number}`)
    const device = await PlainWireGuard.start(host, `pp${side}${number}`, kind, {
      isFast,
      stepsBack: stepsBack && side === 'a',
    })
    const keys = await createKeys()
    await device.set('private-key', device.keyFile(keys.privateKey), 'listen-port', String(PORT))
    const address = `10.99.${number}.${side === 'a' ? 1 : 2}`
    await device.address(`${address}/24`)
    return { device, host, address, underlay, publicKey: keys.publicKey }
  }
  const [a, b] = [await open(kinds[0], 'a'), await open(kinds[1], 'b')]
  const introduce = (to: PlainEnd, other: PlainEnd) =>
    to.device.set(
      ...['peer', other.publicKey, 'allowed-ips', `${other.address}/32`],
      ...['endpoint', `${meetAt ?? other.underlay}:${PORT}`],
    )
  await introduce(a, b)
  await introduce(b, a)
  return {
    a,
    b,
    stop: async () => {
      await Promise.all([a.device.stop(), b.device.stop()])
    },
  }
}
