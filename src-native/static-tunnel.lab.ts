/**
 * One end of a tunnel with fixed keys, for tests and measurements inside a namespace: a real interface, no handshake.
 *
 *   node static-tunnel.lab.ts a|b REMOTE_ADDRESS [MTU [QUIET_PEERS [VIA_PREFIX]]]
 *
 * With a 4via6 prefix, b is the router of that site and a sends there.
 *
 * Quiet peers, with four routes each, are only in the tables. Prints "up NAME" when ready, how many µs one change of a
 * peer takes, and a JSON line of counters when it is asked to end.
 */
import { execFileSync } from 'node:child_process'
import process from 'node:process'
import type { IpPort } from '../src-contract/ids.ts'
import { openDataPath } from './open-data-path.ts'

const PORT = 41641
const [side = 'a', remote = '127.0.0.1', mtu = '1280', quiet = '0', via] = process.argv.slice(2)
const isA = side === 'a'
const own = { v4: isA ? '100.64.0.1' : '100.64.0.2', v6: isA ? 'fd7a:115c:a1e0::1' : 'fd7a:115c:a1e0::2' }
const other = { v4: isA ? '100.64.0.2' : '100.64.0.1', v6: isA ? 'fd7a:115c:a1e0::2' : 'fd7a:115c:a1e0::1' }
const keys = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const

const events: string[] = []
const path = await openDataPath({
  tunName: `static-${side}`,
  mtuBytes: Number(mtu),
  udpPort: PORT,
  fwmark: 0,
  onEvents: (batch) => {
    for (const event of batch) if (event.kind !== 'activity') events.push(event.kind)
  },
})
const name = path.tunName!
const everything = (any: string) => ({
  sources: [any],
  destinations: [{ prefix: any, firstPort: 0, lastPort: 65535 }],
  protocols: [1, 6, 17, 58],
})
path.setFilter({
  rules: [everything('0.0.0.0/0'), everything('::/0')],
  localNets: [`${own.v4}/32`, `${own.v6}/128`, ...(via === undefined || isA ? [] : [via])],
  shieldsUp: false,
  peerApi: [],
})
path.setPeer({
  peer: 1,
  allowedIps: [`${other.v4}/32`, `${other.v6}/128`, ...(via === undefined || !isA ? [] : [via])],
  jailed: false,
})
path.addKeypair({
  peer: 1,
  localIndex: isA ? 1 : 2,
  remoteIndex: isA ? 2 : 1,
  sendKey: keys[isA ? 0 : 1],
  receiveKey: keys[isA ? 1 : 0],
  slot: 'current',
})
path.setDestination(1, {
  udp: (remote.includes(':') ? `[${remote}]:${PORT}` : `${remote}:${PORT}`) as IpPort,
  relay: false,
})
const quietPeer = (n: number) => ({
  peer: 1 + n,
  allowedIps: [
    `100.${96 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}/32`,
    `fd7a:115c:a1e0:ab12::${n.toString(16)}/128`,
    `10.${(n >> 8) & 255}.${n & 255}.0/24`,
    `fd00:${n.toString(16)}::/48`,
  ],
  jailed: false,
})
const rssBefore = process.memoryUsage().rss
for (let n = 1; n <= Number(quiet); n++) path.setPeer(quietPeer(n))
const bytesAPeer = Number(quiet) === 0 ? 0 : (process.memoryUsage().rss - rssBefore) / Number(quiet)
const changes = 200
const changesStarted = performance.now()
for (let n = 0; n < changes && Number(quiet) > 0; n++) path.setPeer(quietPeer(1 + (n % Number(quiet))))
const microsecondsAChange = ((performance.now() - changesStarted) * 1000) / changes
for (const [address, bits] of [
  [own.v4, 32],
  [own.v6, 128],
]) {
  execFileSync('ip', ['addr', 'add', `${address}/${bits}`, 'dev', name])
}
for (const destination of [other.v4, other.v6, ...(via === undefined || !isA ? [] : [via])]) {
  execFileSync('ip', ['route', 'add', destination, 'dev', name])
}
console.log(`up ${name} ${JSON.stringify({ bytesAPeer, microsecondsAChange })}`)

// The static keys have no rekey; renewing them restarts counters on both sides, so a run must end within 180 s.
process.once('SIGTERM', async () => {
  const { drops, peers, backend } = path.stats()
  const { user, system } = process.cpuUsage()
  const rssMiB = Math.round(process.memoryUsage().rss / 2 ** 20)
  await path.close()
  console.log(JSON.stringify({ backend, drops, peer: peers.get(1), events, cpuMs: (user + system) / 1000, rssMiB }))
})
