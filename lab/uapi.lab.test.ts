/** `wg show` on our daemon: the same figures as its LocalAPI, and nothing that can be set. */
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon } from './daemon.ts'
import { discard } from './demo-network.ts'
import { execute } from './host.ts'
import { Internet } from './internet.ts'
import { coverUapiFolder, parseDump, UAPI_FOLDER } from './plain-wireguard.ts'

const hasWg = (await execute('sh', ['-c', 'command -v wg'])).code === 0

/** The same key as `wg` writes it. */
const base64 = (nodeKey: string) => Buffer.from(nodeKey.replace(/^nodekey:/, ''), 'hex').toString('base64')

describe.skipIf(!hasWg)('pintaild --uapi', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  let internet: Internet
  let control: ControlServer
  let one: Daemon
  let other: Daemon
  let addressOfOther: string

  beforeAll(async () => {
    await coverUapiFolder()
    internet = await Internet.create()
    control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
    })
    const key = await control.createKey()
    const start = async (name: string, extraArguments: string[]) => {
      const { host } = await internet.publicHost(name)
      return Daemon.start(host, { kind: 'ours', folder: join(folder, name), tun: `ptu-${name}`, extraArguments })
    }
    one = await start('one', ['--uapi'])
    other = await start('other', [])
    await Promise.all([
      one.join(control.url, key, { Hostname: 'one' }),
      other.join(control.url, key, { Hostname: 'other' }),
    ])
    addressOfOther = await other.address()
    await one.untilDirect(addressOfOther, 20_000)
    expect((await one.icmp(addressOfOther, { count: 5, waitSeconds: 5 })).length).toBe(5)
  })
  afterAll(async () => {
    await Promise.all([one?.stop(), other?.stop()])
    await control?.stop()
    await internet?.close()
    discard(folder)
  })

  test('[UAPI-3.3] wg show tells what the LocalAPI tells', async () => {
    const peerOf = async () => Object.values((await one.status()).Peer ?? {})[0]!
    const before = await peerOf()
    const figures = parseDump(await one.host.must('wg', ['show', 'ptu-one', 'dump']))
    const after = await peerOf()

    const { Self } = await one.status()
    expect(figures.publicKey).toBe(base64(Self.PublicKey))
    expect(figures.port).toBe(41641)
    expect(figures.fwmark).toBe('0x80000')
    expect([...figures.peers.keys()]).toEqual([base64(before.PublicKey)])
    const peer = figures.peers.get(base64(before.PublicKey))!
    expect(peer.endpoint).toBe(before.CurAddr)
    expect(peer.allowedIps.split(',').sort()).toEqual([...(before.AllowedIPs ?? [])].sort())
    expect(peer.handshake).toBe(Math.floor(Date.parse(before.LastHandshake) / 1000))
    expect(peer.presharedKey).toBe('(none)')
    expect(peer.keepalive).toBe('off')
    // Five echoes, sealed: the counters are those of the packet path.
    expect(peer.txBytes).toBeGreaterThanOrEqual(5 * 128)
    for (const [shown, low, high] of [
      [peer.rxBytes, before.RxBytes, after.RxBytes],
      [peer.txBytes, before.TxBytes, after.TxBytes],
    ] as const) {
      expect(shown).toBeGreaterThanOrEqual(Number(low))
      expect(shown).toBeLessThanOrEqual(Number(high))
    }
    expect((await one.host.must('wg', ['show'])).split('\n')[0]).toBe('interface: ptu-one')
  })

  test('[UAPI-3.4] nothing can be set, and nothing changes', async () => {
    const before = parseDump(await one.host.must('wg', ['show', 'ptu-one', 'dump']))
    const [key] = before.peers.keys()
    for (const words of [
      ['listen-port', '1234'],
      ['peer', key!, 'remove'],
      ['private-key', '/dev/null'],
    ]) {
      const refused = await one.host.run('wg', ['set', 'ptu-one', ...words])
      expect([refused.code, refused.stderr.trim()]).toEqual([1, expect.stringContaining('Operation not permitted')])
    }
    const after = parseDump(await one.host.must('wg', ['show', 'ptu-one', 'dump']))
    expect([after.privateKey, after.port, [...after.peers.keys()]]).toEqual([before.privateKey, before.port, [key]])
    expect((await one.icmp(addressOfOther, { count: 1, waitSeconds: 5 })).length).toBe(1)
  })

  test('[UAPI-3.5] only where it was asked for, and gone when the daemon ends', async () => {
    expect(existsSync(join(UAPI_FOLDER, 'ptu-other.sock'))).toBe(false)
    expect(existsSync(join(UAPI_FOLDER, 'ptu-one.sock'))).toBe(true)
    await one.stop()
    expect(existsSync(join(UAPI_FOLDER, 'ptu-one.sock'))).toBe(false)
  })
})
