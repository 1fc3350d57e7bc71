/**
 * The plain WireGuard device under the stock tools: `wg`, `wg-quick`, wireguard-go at the other end, and wireguard-go's own
 * test script. What is not installed is skipped by name.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stockProgram } from './daemon.ts'
import { eventually } from './eventually.ts'
import { execute, must } from './host.ts'
import { Internet, type PublicHost } from './internet.ts'
import {
  coverUapiFolder,
  createKeys,
  createPresharedKey,
  PlainWireGuard,
  pintailWireGuard,
  UAPI_FOLDER,
} from './plain-wireguard.ts'
import { transfer } from './transfer.ts'

const hasWg = (await execute('sh', ['-c', 'command -v wg wg-quick'])).code === 0
const NEVER = '(none)'

let internet: Internet
let hosts: PublicHost[]
beforeAll(async () => {
  if (!hasWg) return
  await coverUapiFolder()
  internet = await Internet.create()
  hosts = [await internet.publicHost('wa'), await internet.publicHost('wb')]
})
afterAll(() => internet?.close())

interface Pair {
  readonly a: PlainWireGuard
  readonly b: PlainWireGuard
  readonly keyOfA: string
  readonly keyOfB: string
  stop(): Promise<void>
}

let pairs = 0
/** Two devices that know each other; only A knows where B is. */
async function openPair(
  kinds: readonly ['ours' | 'stock', 'ours' | 'stock'],
  options: { pskOfA?: string; pskOfB?: string } = {},
): Promise<Pair & { readonly addressOfA: string; readonly addressOfB: string }> {
  const number = ++pairs
  const [hostA, hostB] = hosts as [PublicHost, PublicHost]
  const a = await PlainWireGuard.start(hostA.host, `pa${number}`, kinds[0])
  const b = await PlainWireGuard.start(hostB.host, `pb${number}`, kinds[1])
  const [keysA, keysB] = [await createKeys(), await createKeys()]
  const psk = (device: PlainWireGuard, key: string | undefined) =>
    key === undefined ? [] : ['preshared-key', device.keyFile(key)]
  const [addressOfA, addressOfB] = [`192.168.${number}.1`, `192.168.${number}.2`]
  const [portA, portB] = [10_000 + number, 20_000 + number]
  const identity = (device: PlainWireGuard, key: string, port: number) => [
    'private-key',
    device.keyFile(key),
    'listen-port',
    String(port),
  ]
  await a.set(
    ...identity(a, keysA.privateKey, portA),
    ...['peer', keysB.publicKey, ...psk(a, options.pskOfA)],
    ...['allowed-ips', `${addressOfB}/32,fd00:${number}::2/128`, 'endpoint', `${hostB.address}:${portB}`],
  )
  await b.set(
    ...identity(b, keysB.privateKey, portB),
    ...['peer', keysA.publicKey, ...psk(b, options.pskOfB), 'allowed-ips', `${addressOfA}/32,fd00:${number}::1/128`],
  )
  await a.address(`${addressOfA}/24`, `fd00:${number}::1/64`)
  await b.address(`${addressOfB}/24`, `fd00:${number}::2/64`)
  const stop = async () => {
    await Promise.all([a.stop(), b.stop()])
  }
  return { a, b, keyOfA: keysA.publicKey, keyOfB: keysB.publicKey, addressOfA, addressOfB, stop }
}

describe.skipIf(!hasWg)('two plain devices', () => {
  let pair: Awaited<ReturnType<typeof openPair>>
  beforeAll(async () => {
    const psk = await createPresharedKey()
    pair = await openPair(['ours', 'ours'], { pskOfA: psk, pskOfB: psk })
  })
  afterAll(() => pair?.stop())

  test('[UAPI-4.1] wg set, then both ends reach each other over both families', async () => {
    const { a, b, addressOfA, addressOfB } = pair
    expect(await a.ping(addressOfB, 5)).toBe(5)
    expect(await b.ping(addressOfA, 5)).toBe(5)
    expect(await a.ping(`fd00:${addressOfB.split('.')[2]}::2`, 5)).toBe(5)
  })

  test('[UAPI-4.2] wg show tells what there is: keys, endpoints, handshakes, and each byte that went over the wire', async () => {
    const { a, b, keyOfA, keyOfB } = pair
    const [ofA, ofB] = [await a.figures(), await b.figures()]
    expect([ofA.publicKey, ofB.publicKey]).toEqual([keyOfA, keyOfB])
    const [atA, atB] = [ofA.peers.get(keyOfB)!, ofB.peers.get(keyOfA)!]
    expect(atB.endpoint).toBe(`${hosts[0]!.address}:${ofA.port}`)
    expect(atA.presharedKey).toBe(atB.presharedKey)
    expect(atA.presharedKey).not.toBe(NEVER)
    expect(Math.abs(atA.handshake - Date.now() / 1000)).toBeLessThan(30)
    expect(Math.abs(atA.handshake - atB.handshake)).toBeLessThanOrEqual(1)
    // 148 + 92 for the handshake, 32 to confirm it at most, and 15 times 128 for the echoes; the same at both ends.
    expect([atA.txBytes, atA.rxBytes]).toEqual([atB.rxBytes, atB.txBytes])
    expect(atA.txBytes).toBeGreaterThanOrEqual(148 + 15 * 128)
    expect(atA.txBytes).toBeLessThan(148 + 15 * 128 + 700)
    const shown = await a.wg('show', a.name)
    expect(shown.stdout).toMatch(/latest handshake: /)
    expect(shown.stdout).toMatch(/transfer: .* received, .* sent/)
  })

  test('[UAPI-4.3] a peer whose address changes is followed at once', async () => {
    const { a, b, keyOfA, addressOfA, addressOfB } = pair
    await a.set('listen-port', '30001')
    expect(await a.ping(addressOfB)).toBe(1)
    expect((await b.figures()).peers.get(keyOfA)!.endpoint).toBe(`${hosts[0]!.address}:30001`)
    const other = '203.0.113.77'
    await hosts[0]!.host.must('sysctl', ['-qw', 'net.ipv4.conf.eth0.promote_secondaries=1'])
    await hosts[0]!.host.must('ip', ['addr', 'add', `${other}/24`, 'dev', 'eth0'])
    await hosts[0]!.host.must('ip', ['addr', 'del', `${hosts[0]!.address}/24`, 'dev', 'eth0'])
    try {
      expect(await a.ping(addressOfB)).toBe(1)
      expect((await b.figures()).peers.get(keyOfA)!.endpoint).toBe(`${other}:30001`)
      expect(await b.ping(addressOfA)).toBe(1)
    } finally {
      await hosts[0]!.host.must('ip', ['addr', 'add', `${hosts[0]!.address}/24`, 'dev', 'eth0'])
      await hosts[0]!.host.must('ip', ['addr', 'del', `${other}/24`, 'dev', 'eth0'])
    }
    expect(await a.ping(addressOfB)).toBe(1)
  })

  test('[UAPI-4.4] showconf, syncconf and setconf: what is taken out goes, what stays keeps its session', async () => {
    const { a, keyOfB, addressOfB } = pair
    expect(await a.ping(addressOfB)).toBe(1)
    const before = (await a.figures()).peers.get(keyOfB)!
    const config = (await a.wg('showconf', a.name)).stdout
    const { publicKey: third } = await createKeys()
    const path = join(a.host.folder, 'sync.conf')
    writeFileSync(
      path,
      `${config}\n[Peer]\nPublicKey = ${third}\nAllowedIPs = 10.77.0.0/16, fd77::/64\nPersistentKeepalive = 25\n`,
    )
    await a.host.must('wg', ['syncconf', a.name, path])
    const both = (await a.figures()).peers
    expect([...both.keys()].sort()).toEqual([keyOfB, third].sort())
    expect(both.get(third)).toMatchObject({ allowedIps: '10.77.0.0/16,fd77::/64', keepalive: '25', endpoint: NEVER })
    expect(both.get(keyOfB)!.handshake).toBe(before.handshake)
    writeFileSync(path, config)
    await a.host.must('wg', ['syncconf', a.name, path])
    expect([...(await a.figures()).peers.keys()]).toEqual([keyOfB])
    expect((await a.wg('showconf', a.name)).stdout).toBe(config)
    await a.host.must('wg', ['setconf', a.name, path])
    expect((await a.figures()).peers.get(keyOfB)).toMatchObject({ handshake: 0, rxBytes: 0, txBytes: 0 })
    expect(await a.ping(addressOfB, 1, 6)).toBe(1)
  })

  test('[UAPI-4.5] a prefix belongs to one peer, and another peer may not send from it', async () => {
    const { a, b, keyOfB, addressOfB } = pair
    const { publicKey: third } = await createKeys()
    const subnet = addressOfB.replace(/2$/, '0/24')
    const before = (await a.figures()).peers.get(keyOfB)!.allowedIps
    await a.set('peer', keyOfB, 'allowed-ips', subnet)
    expect(await a.ping(addressOfB)).toBe(1)
    await a.set('peer', third, 'allowed-ips', `${addressOfB}/32`)
    expect(await b.ping(addressOfB.replace(/2$/, '1'), 1, 1)).toBe(0)
    await a.set('peer', third, 'allowed-ips', subnet)
    expect((await a.figures()).peers.get(keyOfB)!.allowedIps).toBe(NEVER)
    await a.set('peer', third, 'remove', 'peer', keyOfB, 'allowed-ips', before)
    expect(await a.ping(addressOfB)).toBe(1)
  })

  test('[UAPI-4.6] a change that cannot be made is not made by halves', async () => {
    const { a, b, keyOfB, addressOfB } = pair
    const before = await a.figures()
    const { privateKey } = await createKeys()
    // The port of another device on the same host.
    const other = await PlainWireGuard.start(a.host, 'paother', 'ours')
    try {
      const { port } = await other.figures()
      const refused = await a.wg(
        ...['set', a.name, 'private-key', a.keyFile(privateKey), 'listen-port', String(port)],
        ...['peer', keyOfB, 'remove'],
      )
      expect(refused.code).toBe(1)
      expect(refused.stderr).toContain('Address already in use')
      const { privateKey: key, port: stillPort, peers } = await a.figures()
      expect([key, stillPort, [...peers.keys()]]).toEqual([before.privateKey, before.port, [keyOfB]])
      expect(await a.ping(addressOfB)).toBe(1)
    } finally {
      await other.stop()
    }
    expect(b.status).toBe(undefined)
  })

  test('[UAPI-4.7] the mark of datagrams changes while it runs', async () => {
    const { a, addressOfB } = pair
    await a.host.rules(
      'table inet marks { chain out { type filter hook output priority filter; meta mark 0x1234 udp sport 30001 counter; }; }',
    )
    await a.set('fwmark', '0x1234')
    expect((await a.figures()).fwmark).toBe('0x1234')
    expect(await a.ping(addressOfB)).toBe(1)
    expect(await a.host.must('nft', ['list', 'ruleset'])).toMatch(/counter packets [1-9]/)
    await a.set('fwmark', '0')
    await a.host.rules('')
    expect(await a.ping(addressOfB)).toBe(1)
  })

  test('[UAPI-4.13] padding ends at the MTU, also after that was changed', async () => {
    const { a, keyOfB, addressOfB } = pair
    await a.host.must('ip', ['link', 'set', a.name, 'mtu', '1300'])
    const sent = async () => (await a.figures()).peers.get(keyOfB)!.txBytes
    await eventually(
      'a packet of 1300 bytes leaves without padding',
      async () => {
        const before = await sent()
        await a.host.must('ping', ['-n', '-c', '1', '-W', '2', '-s', '1272', addressOfB])
        return (await sent()) - before === 1300 + 32 ? true : undefined
      },
      { withinMs: 8_000 },
    )
    await a.host.must('ip', ['link', 'set', a.name, 'mtu', '1420'])
  })

  test('[UAPI-4.8] persistent keepalive keeps talking without any traffic', async () => {
    const { a, b, keyOfA, keyOfB } = pair
    await a.set('peer', keyOfB, 'persistent-keepalive', '1')
    const before = (await b.figures()).peers.get(keyOfA)!.rxBytes
    await eventually(
      'three keepalives arrive',
      async () => ((await b.figures()).peers.get(keyOfA)!.rxBytes >= before + 3 * 32 ? true : undefined),
      { withinMs: 8_000 },
    )
    await a.set('peer', keyOfB, 'persistent-keepalive', '0')
    expect((await a.figures()).peers.get(keyOfB)!.keepalive).toBe('off')
  })

  test('[UAPI-4.9] another pre-shared key at one end: no session', async () => {
    const { a, b, keyOfA, keyOfB, addressOfB } = pair
    const other = await createPresharedKey()
    await a.set('peer', keyOfB, 'remove')
    const allowed = `${addressOfB}/32`
    const endpoint = `${hosts[1]!.address}:${(await b.figures()).port}`
    await a.set('peer', keyOfB, 'preshared-key', a.keyFile(other), 'allowed-ips', allowed, 'endpoint', endpoint)
    expect(await a.ping(addressOfB, 1, 1)).toBe(0)
    expect((await a.figures()).peers.get(keyOfB)!.handshake).toBe(0)
    await b.set('peer', keyOfA, 'preshared-key', b.keyFile(other))
    expect((await a.ping(addressOfB, 1, 8)) + (await a.ping(addressOfB, 1, 8))).toBeGreaterThan(0)
  })
})

describe.skipIf(!hasWg || stockProgram('wireguard') === undefined)('with wireguard-go', () => {
  test.each([
    ['ours', 'stock'],
    ['stock', 'ours'],
  ] as const)(
    '[UAPI-4.10] %s starts, %s answers: pre-shared key, pings both ways, TCP both ways',
    async (one, other) => {
      const psk = await createPresharedKey()
      const pair = await openPair([one, other], { pskOfA: psk, pskOfB: psk })
      try {
        const { a, b, addressOfA, addressOfB, keyOfB } = pair
        expect(await a.ping(addressOfB, 5)).toBe(5)
        expect(await b.ping(addressOfA, 5)).toBe(5)
        const [ofA, ofB] = [await a.figures(), await b.figures()]
        expect(ofA.peers.get(keyOfB)!.handshake).toBeGreaterThan(0)
        const [atA, atB] = [ofA.peers.get(pair.keyOfB)!, ofB.peers.get(pair.keyOfA)!]
        expect([atA.txBytes, atA.rxBytes]).toEqual([atB.rxBytes, atB.txBytes])
        expect(await transfer(a.host, b.host, addressOfB, 20_000_000)).toBe(20_000_000)
        expect(await transfer(b.host, a.host, addressOfA, 20_000_000)).toBe(20_000_000)
      } finally {
        await pair.stop()
      }
    },
  )
})

describe.skipIf(!hasWg)('the program', () => {
  const start = (name: string) => hosts[0]!.host.run(process.execPath, [pintailWireGuard, name])
  const isGone = (name: string) =>
    eventually(
      `${name} is gone`,
      async () => {
        const hasInterface = (await hosts[0]!.host.run('ip', ['link', 'show', name])).code === 0
        return hasInterface || existsSync(join(UAPI_FOLDER, `${name}.sock`)) ? undefined : true
      },
      { withinMs: 5_000 },
    )

  test('[UAPI-5.2] goes on in the background; ends with its interface', async () => {
    expect(await start('pd1')).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect((await hosts[0]!.host.run('wg', ['show', 'pd1'])).code).toBe(0)
    await hosts[0]!.host.must('ip', ['link', 'del', 'pd1'])
    await isGone('pd1')
  })

  test('[UAPI-5.2] ends with its socket', async () => {
    expect((await start('pd2')).code).toBe(0)
    await must('rm', [join(UAPI_FOLDER, 'pd2.sock')])
    await isGone('pd2')
  })

  test('[UAPI-5.3] says why it cannot start, and leaves the one that runs alone', async () => {
    expect((await start('pd3')).code).toBe(0)
    const second = await start('pd3')
    expect(second.code).toBe(1)
    expect(second.stderr).toMatch(/^pintail-wireguard: .*busy/)
    expect((await hosts[0]!.host.run('wg', ['show', 'pd3'])).code).toBe(0)
    await hosts[0]!.host.must('ip', ['link', 'del', 'pd3'])
    await isGone('pd3')
  })

  test('[UAPI-3.2] a socket that nobody holds is replaced', async () => {
    const path = join(UAPI_FOLDER, 'pd4.sock')
    const stale = createServer()
    await new Promise<void>((resolve) => stale.listen(`${path}.tmp`, resolve))
    await must('mv', [`${path}.tmp`, path]) // closing deletes a name that is not there any more
    await new Promise((resolve) => stale.close(resolve))
    expect(existsSync(path)).toBe(true)
    expect((await start('pd4')).code).toBe(0)
    await hosts[0]!.host.must('ip', ['link', 'del', 'pd4'])
    await isGone('pd4')
  })

  test('[UAPI-3.1] only root may speak to it', async () => {
    expect((await start('pd5')).code).toBe(0)
    expect(await must('stat', ['-c', '%a %u', join(UAPI_FOLDER, 'pd5.sock')])).toBe('600 0\n')
    const stranger = await hosts[0]!.host.run('setpriv', ['--reuid=65534', '--clear-groups', 'wg', 'show', 'pd5'])
    expect([stranger.code, stranger.stdout]).toEqual([1, ''])
    await hosts[0]!.host.must('ip', ['link', 'del', 'pd5'])
    await isGone('pd5')
  })

  test('[UAPI-5.4] wg-quick up and down, with a default route through the tunnel', async () => {
    const [client, server] = hosts as [PublicHost, PublicHost]
    const [own, other] = [await createKeys(), await createKeys()]
    const far = await PlainWireGuard.start(server.host, 'pqs', 'ours')
    const config = join(client.host.folder, 'pqc.conf')
    const env = { ...process.env, WG_QUICK_USERSPACE_IMPLEMENTATION: pintailWireGuard }
    const wgQuick = (verb: string) =>
      client.host.run('env', [
        `WG_QUICK_USERSPACE_IMPLEMENTATION=${env.WG_QUICK_USERSPACE_IMPLEMENTATION}`,
        ...['wg-quick', verb, config],
      ])
    try {
      await far.set(
        ...['private-key', far.keyFile(other.privateKey), 'listen-port', '4711'],
        ...['peer', own.publicKey, 'allowed-ips', '10.9.9.1/32'],
      )
      await far.address('10.9.9.2/24', '192.0.2.99/32')
      writeFileSync(
        config,
        `[Interface]\nPrivateKey = ${own.privateKey}\nAddress = 10.9.9.1/24\nMTU = 1380\n` +
          `[Peer]\nPublicKey = ${other.publicKey}\nAllowedIPs = 0.0.0.0/0\nEndpoint = ${server.address}:4711\n`,
        { mode: 0o600 },
      )
      const up = await wgQuick('up')
      expect(up.code, up.stderr).toBe(0)
      // An address of the far end that only the default route through the tunnel leads to.
      const pings = await client.host.run('ping', ['-n', '-c', '3', '-i', '0.05', '-W', '5', '192.0.2.99'])
      expect(pings.stdout).toContain(' 0% packet loss')
      expect((await client.host.must('wg', ['show', 'pqc', 'fwmark'])).trim()).not.toBe('off')
      const down = await wgQuick('down')
      expect(down.code, down.stderr).toBe(0)
      await isGone('pqc')
    } finally {
      await far.stop()
    }
  })
})
