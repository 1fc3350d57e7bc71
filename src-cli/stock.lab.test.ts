/**
 * Our command line beside the stock one, word for word, on stock daemons: what they print, how they end, and what their
 * changes leave in the preferences. Skipped by name where the stock programs are not installed.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from '../lab/control-server.ts'
import { Daemon, stockProgram } from '../lab/daemon.ts'
import { discard } from '../lab/demo-network.ts'
import { execute } from '../lab/host.ts'
import { Internet } from '../lab/internet.ts'
import { followDaemon } from '../src-client/follow.ts'
import { emptyMirror, type Mirror } from '../src-contract/localapi/mirror.ts'

const tailscale = stockProgram('tailscale')
const hasStock = tailscale !== undefined && stockProgram('tailscaled') !== undefined
const pintail = fileURLToPath(new URL('./main.ts', import.meta.url))

/** The stock command line under our name. */
function renamed(text: string): string {
  return text
    .replaceAll('tailscaled', 'pintaild')
    .replaceAll('tailscale', 'pintail')
    .replaceAll(/Tailscale(?!IPs)/g, 'Pintail')
}

async function stockCli(daemon: Daemon, line: string) {
  const { code, stdout, stderr } = await execute(tailscale!, [`--socket=${daemon.socketPath}`, ...words(line)])
  return { code, out: renamed(stdout), err: renamed(stderr) }
}

async function ourCli(daemon: Daemon, line: string) {
  const { code, stdout, stderr } = await execute(process.execPath, [
    pintail,
    `--socket=${daemon.socketPath}`,
    ...words(line),
  ])
  return { code, out: renamed(stdout), err: renamed(stderr) }
}

const words = (line: string) => line.split(' ')

describe.skipIf(!hasStock)('without a network', () => {
  let internet: Internet
  let theirs: Daemon
  let mine: Daemon
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))

  beforeAll(async () => {
    internet = await Internet.create()
    const { host } = await internet.publicHost('lonely')
    const options = { kind: 'stock', tun: 'userspace-networking' } as const
    theirs = await Daemon.start(host, { ...options, folder: join(folder, 'a'), udpPort: 41641 })
    mine = await Daemon.start(host, { ...options, folder: join(folder, 'b'), udpPort: 41642 })
  })
  afterAll(async () => {
    await Promise.all([theirs?.stop(), mine?.stop()])
    await internet?.close()
    discard(folder)
  })

  // In this order: the later ones find what the earlier ones left.
  test.each([
    'status',
    'ip',
    'ip -1 -4',
    'get',
    'get --json',
    'get --set-flags',
    'get bogus',
    'whoami',
    'whois 1.2.3.4',
    'ping 1.2.3.4',
    'exit-node',
    'exit-node list',
    'exit-node suggest',
    'switch --list',
    'switch --list --json',
    'switch zzz',
    'status extra',
    'up extra',
    'set --hostname=a --accept-routes --accept-dns=false',
    'get --set-flags',
    'up --hostname=b --timeout=300ms --reset --login-server=http://203.0.113.1',
    'up --timeout=300ms',
    'up --ssh --timeout=300ms --accept-routes=false',
    'up --advertise-routes=10.0.0.1/8',
    'up --advertise-routes=0.0.0.0/0',
    'up --advertise-tags=Foo:',
    'up --hostname=bad_name!',
    'up --netfilter-mode=xx',
    'up --exit-node-allow-lan-access',
    'set --exit-node=foo',
    'set --exit-node=100.64.0.9 --exit-node-allow-lan-access',
    'set --advertise-exit-node',
    'set --exit-node=auto:any',
    'get exit-node',
    'set --exit-node=',
    'set --advertise-exit-node',
    'set --advertise-routes=10.2.0.0/16,10.0.0.0/8,fd00::/64',
    'get advertise-routes',
    'set --advertise-exit-node=false',
    'set --auto-update=false --update-check=false --shields-up --ssh=false --stateful-filtering',
    'set --relay-server-port=0 --relay-server-static-endpoints=192.0.2.1:40000',
    'set --relay-server-port=',
    'set --netfilter-mode=nodivert --snat-subnet-routes=false --report-posture --advertise-connector',
    'set --operator=nobody --nickname=work --webclient=false',
    'get --set-flags',
    'up --timeout=300ms --accept-dns',
    'up --reset --timeout=300ms --advertise-tags=a,tag:b --login-server=http://203.0.113.1',
    'down',
    'down',
    'logout',
    'status',
  ])('%s', async (line) => {
    const [a, b] = await Promise.all([stockCli(theirs, line), ourCli(mine, line)])
    const [before, after] = await Promise.all([theirs.client.prefs(), mine.client.prefs()])
    expect(b).toEqual(a)
    expect(after).toEqual(before)
  })
})

describe.skipIf(!hasStock)('in a network', () => {
  let internet: Internet
  let control: ControlServer
  let air: Daemon
  let nas: Daemon
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))

  beforeAll(async () => {
    internet = await Internet.create()
    control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
    })
    const key = await control.createKey()
    air = await Daemon.start((await internet.publicHost('air')).host, { kind: 'stock', folder: join(folder, 'a') })
    nas = await Daemon.start((await internet.publicHost('nas')).host, { kind: 'stock', folder: join(folder, 'n') })
    await Promise.all([
      air.join(control.url, key, { Hostname: 'air' }),
      nas.join(control.url, key, { Hostname: 'nas', AdvertiseRoutes: ['0.0.0.0/0', '::/0'] }),
    ])
    await air.untilDirect(await nas.address(), 30_000)
  })
  afterAll(async () => {
    await Promise.all([air?.stop(), nas?.stop()])
    await control?.stop()
    await internet?.close()
    discard(folder)
  })

  test.each([
    'status --json',
    'status --json --peers=false',
    'status --json --active',
    'status',
    'status --header --self=false',
    'status --active --peers=false',
    'ip',
    'ip -4',
    'ip -6 nas',
    'ip nas',
    'ip 100.64.0.250',
    'ip --assert=100.64.0.250',
    'whoami --json',
    'exit-node list',
    'exit-node suggest',
    'get',
    'debug prefs',
    'debug derp-map',
    'switch --list',
    'switch --list --json',
    'set --exit-node=zzz',
    'set --exit-node=100.64.0.250',
    'up --accept-routes',
    'up --login-server=http://203.0.113.99 --reset',
  ])('%s', async (line) => {
    expect(await ourCli(air, line)).toEqual(await stockCli(air, line))
  })

  test('whoami says more: the network, as newer stock ones do', async () => {
    const [stock, our] = [await stockCli(air, 'whoami'), await ourCli(air, 'whoami')]
    expect({ ...our, out: our.out.replace(/^Tailnet:\n( .*\n)+/m, '') }).toEqual(stock)
  })

  test('whois of the other machine', async () => {
    const address = await nas.address()
    for (const line of [`whois ${address}`, `whois --json ${address}:80`])
      expect(await ourCli(air, line)).toEqual(await stockCli(air, line))
  })

  test('[U8] ping: the same words, times aside', async () => {
    const timeless = ({ out, ...rest }: { out: string }) => ({ ...rest, out: out.replaceAll(/in \S+$/gm, 'in T') })
    for (const line of [
      'ping nas',
      'ping --tsmp nas',
      'ping --icmp nas',
      'ping -c 2 --until-direct=false nas',
      'ping air',
    ])
      expect(timeless(await ourCli(air, line))).toEqual(timeless(await stockCli(air, line)))
  })

  test('down, and up again without a word', async () => {
    expect(await ourCli(air, 'down')).toEqual({ code: 0, out: '', err: '' })
    expect(await ourCli(air, 'status')).toEqual(await stockCli(air, 'status'))
    expect(await ourCli(air, 'up')).toEqual({ code: 0, out: '', err: '' })
    // The interface is only seen from within the machine.
    const words = [pintail, `--socket=${air.socketPath}`, 'wait', '--timeout=20s']
    expect(await air.host.run(process.execPath, words)).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('[U2] up prints the link, an administrator lets the machine in, up is done', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pt-'))
    const fresh = await Daemon.start((await internet.publicHost('new')).host, { kind: 'stock', folder })
    try {
      const up = spawn(process.execPath, [
        pintail,
        `--socket=${fresh.socketPath}`,
        'up',
        `--login-server=${control.url}`,
      ])
      let said = ''
      const link = new Promise<string>((resolve) => {
        up.stderr.on('data', (chunk: Buffer) => {
          said += chunk.toString()
          const found = /visit:\n\n\t(\S+)\n/.exec(said)?.[1]
          if (found !== undefined) resolve(found)
        })
      })
      const code = new Promise((resolve) => up.once('close', resolve))
      await control.admin('nodes', 'register', '--id', await link, '--user', 'demo')
      expect([await code, said]).toEqual([0, `\nTo authenticate, visit:\n\n\t${await link}\n\nSuccess.\n`])
    } finally {
      await fresh.stop()
      discard(folder)
    }
  })

  test('the mirror follows: the peer goes and comes, this machine goes down and up', async () => {
    const ended = new AbortController()
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(60_000)])
    const events = followDaemon(air.client, { signal })
    let mirror = emptyMirror()
    const until = async (isSeen: (seen: Mirror) => boolean) => {
      while (!isSeen(mirror)) {
        const next = await events.next()
        if (next.done === true) throw new Error(`not seen: ${isSeen.toString()}; state ${mirror.state}`)
        if (next.value.kind === 'change') mirror = next.value.mirror
      }
    }
    const nasOf = (seen: Mirror) => [...seen.peers.values()].find(({ Name }) => Name.startsWith('nas.'))
    await until((seen) => seen.state === 'Running' && seen.self !== null && nasOf(seen)?.Online === true)
    await nas.stop()
    await until((seen) => nasOf(seen)?.Online === false)
    await nas.start()
    await until((seen) => nasOf(seen)?.Online === true)
    await ourCli(air, 'down')
    await until((seen) => seen.state === 'Stopped' && seen.prefs?.WantRunning === false)
    await ourCli(air, 'up')
    await until((seen) => seen.state === 'Running' && nasOf(seen) !== undefined)
    ended.abort()
    await events.return(undefined)
  })
})
