/**
 * pintaild with the rights of its unit and no others: joins, carries packets both ways, sets the host's name servers by
 * the root helper and gives them back – at its end, and after SIGKILL by `--cleanup`. [docs/rules/privilege.md]
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ControlServer } from './control-server.ts'
import { Daemon, stockProgram } from './daemon.ts'
import { discard } from './demo-network.ts'
import { eventually } from './eventually.ts'
import { endProcess, execute } from './host.ts'
import { Internet } from './internet.ts'
import { type MachineView, machineView } from './machine-view.ts'
import { DAEMON_UID, noUnprivileged, type Unprivileged, unprivileged } from './unprivileged.ts'

const problem = noUnprivileged()
const stock = stockProgram('tailscale')
const NOBODY = 65_534
/** Bits 10, 12 and 13. */
const THREE_CAPABILITIES = '0000000000003400'
const original = '# caf\xe9\nnameserver 203.0.113.54\n'

describe.skipIf(problem !== undefined)(`pintaild without root${problem === undefined ? '' : ` (${problem})`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pt-'))
  let internet: Internet
  let control: ControlServer
  let machine: MachineView
  let bare: Unprivileged
  let helper: Awaited<ReturnType<Unprivileged['startHelper']>>
  let ours: Daemon
  let other: Daemon
  let state: string
  const planted = join(folder, 'planted')
  const marker = join(planted, 'was-run')
  const hostile = { PATH: `${planted}:${process.env.PATH ?? ''}`, LC_ALL: 'tr_TR.UTF-8' }

  const start = () =>
    Daemon.start(bare.host, {
      kind: 'ours',
      folder: state,
      environment: hostile,
      extraArguments: [`--root-helper=${bare.helperSocket}`],
    })
  const resolvConf = () => machine.readEtc('resolv.conf')
  const networkTraces = async (): Promise<string> => {
    const words = ['rule show', 'route show table 52', 'link show type tun']
    const texts = await Promise.all(words.map((line) => machine.run('ip', line.split(' '))))
    const { stdout } = await machine.run('nft', ['list', 'ruleset'])
    return [...texts.map((result) => result.stdout), stdout].join('')
  }

  beforeAll(async () => {
    internet = await Internet.create()
    control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      config: { dns: { base_domain: 'demo.internal' } },
    })
    machine = await machineView((await internet.publicHost('ours')).host)
    await machine.writeEtc('resolv.conf', original)
    bare = await unprivileged(machine, folder)
    state = bare.folder('o')
    mkdirSync(planted)
    for (const name of ['ip', 'nft', 'iptables', 'resolvconf', 'resolvectl', 'getent', 'flock', 'sh', 'sysctl']) {
      writeFileSync(join(planted, name), `#!/bin/sh\n: > ${marker}\n`, { mode: 0o755 })
    }
    chmodSync(planted, 0o777)
    helper = await bare.startHelper(hostile)
    const key = await control.createKey()
    other = await Daemon.start((await internet.publicHost('other')).host, { kind: 'ours', folder: join(folder, 'n') })
    ours = await start()
    await Promise.all([
      other.join(control.url, key, { Hostname: 'nas' }),
      ours.join(control.url, key, { Hostname: 'laptop', CorpDNS: true, NetfilterMode: 2 }),
    ])
  })
  afterAll(async () => {
    await Promise.all([ours?.stop(), other?.stop()])
    if (helper !== undefined) await endProcess(helper)
    await control?.stop()
    await internet?.close()
    discard(folder)
  })

  test('[PV-1] it has three capabilities, a user of its own and no way to more', async () => {
    const status = (await execute('cat', [`/proc/${ours.pid}/status`])).stdout
    const line = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect(line(set)).toBe(THREE_CAPABILITIES)
    expect(line('Uid')).toBe(Array.from({ length: 4 }, () => DAEMON_UID).join('\t'))
    expect(line('NoNewPrivs')).toBe('1')
  })

  test('[PV-1] packets both ways over a direct path, and nothing to complain of', async () => {
    const address = await other.address()
    await ours.untilDirect(address, 20_000)
    expect(await ours.icmp(address, { count: 3, waitSeconds: 5 })).toHaveLength(3)
    expect(await other.icmp(await ours.address(), { count: 3, waitSeconds: 5 })).toHaveLength(3)
    expect((await ours.status()).Health ?? []).toEqual([])
    expect(ours.log.split('\n').filter((text) => /"level":"(warn|error)"/.test(text))).toEqual([])
    // a setting of this network's kernel: CAP_NET_ADMIN is enough
    expect((await machine.run('cat', ['/proc/sys/net/ipv4/conf/all/src_valid_mark'])).stdout).toBe('1\n')
  })

  test('[PV-2] names: resolv.conf is written by the helper, and given back', async () => {
    const knows = async () => {
      const { stdout } = await machine.run('getent', ['ahostsv4', 'nas'])
      return stdout.startsWith(await other.address()) ? true : undefined
    }
    await eventually('nas has a name', knows, { withinMs: 10_000 })
    expect(await resolvConf()).toContain('\nnameserver 100.100.100.100\n')
    await ours.client.editPrefs({ CorpDNS: false, CorpDNSSet: true })
    await eventually('as before', async () => ((await resolvConf()) === original ? true : undefined), {
      withinMs: 10_000,
    })
    await ours.client.editPrefs({ CorpDNS: true, CorpDNSSet: true })
    await eventually('nas has a name again', knows, { withinMs: 10_000 })
  })

  test('[PV-4] programs planted in PATH were never run, by neither of the two', () => {
    expect(existsSync(join(planted, 'ip'))).toBe(true)
    expect(existsSync(marker)).toBe(false)
  })

  test('[PV-2] the helper hangs up on others, root included', async () => {
    const ask =
      'require("net").connect(process.argv[1]).on("data",d=>console.log(""+d)).on("error",e=>console.log(e.code))'
    const request = '.write(JSON.stringify({verb:"restore-resolv-conf"})+"\\n")'
    const before = await resolvConf()
    const stranger = bare.command(DAEMON_UID + 1, process.execPath, '-e', ask + request, bare.helperSocket)
    expect((await machine.run(stranger[0]!, stranger.slice(1))).stdout.trim()).toBe('EACCES')
    await new Promise<void>((resolve) => {
      const socket = connect(bare.helperSocket, () => socket.write('{"verb":"restore-resolv-conf"}\n'))
      socket.on('error', () => {}).once('close', () => resolve())
    })
    expect(await resolvConf()).toBe(before)
    expect(helper.said()).toContain('"event":"refused-caller","uid":0')
  })

  test.skipIf(stock === undefined)(
    `[PV-8] [U3] a stock client of the operator signs out and in without root${stock === undefined ? ' (no stock tailscale)' : ''}`,
    async () => {
      chmodSync(state, 0o755) // the socket is in it
      const by = (uid: number, ...words: string[]) => {
        const as = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--']
        const env = ['env', '-i', 'HOME=/', 'PATH=/usr/bin:/bin', stock!, `--socket=${ours.socketPath}`]
        return machine.run('setpriv', [...as, ...env, ...words])
      }
      const login = ['login', `--login-server=${control.url}`, `--auth-key=${await control.createKey()}`]
      await ours.client.editPrefs({ OperatorUser: 'nobody', OperatorUserSet: true })
      expect((await by(NOBODY - 1, 'logout')).stderr).toContain(
        `only root and the operator may. To be the operator, run: sudo pintail --socket='${ours.socketPath}' set --operator=$USER`,
      )
      expect(await by(NOBODY, 'logout')).toMatchObject({ code: 0 })
      expect(await by(NOBODY, ...login, '--hostname=laptop')).toMatchObject({ code: 0 })
      expect(await by(NOBODY, 'set', '--accept-routes')).toMatchObject({ code: 0 })
      expect(await ours.client.prefs()).toMatchObject({ OperatorUser: 'nobody', RouteAll: true, Hostname: 'laptop' })
    },
  )

  test('[PV-6] after SIGKILL the unit cleans up, with the same rights', async () => {
    const withDaemon = await networkTraces()
    expect(withDaemon).toContain('5270')
    await ours.kill()
    expect(await resolvConf()).not.toBe(original)
    const words = bare.command(DAEMON_UID, process.execPath, join(import.meta.dirname, '../bin/pintaild.mjs'))
    const flags = ['--cleanup', `--statedir=${join(state, 'state')}`, `--root-helper=${bare.helperSocket}`]
    const result = await machine.run(words[0]!, [...words.slice(1), ...flags])
    expect(result.stderr).not.toContain('"level":"error"')
    expect(result.code).toBe(0)
    expect(await resolvConf()).toBe(original)
    expect(await networkTraces()).not.toMatch(/5270|pintail|ts-input/)
  })

  test('[PV-2] without a helper the tunnel works, and health says what does not', async () => {
    await endProcess(helper)
    ours = await start()
    const address = await other.address()
    await eventually('it runs', async () => ((await ours.status()).BackendState === 'Running' ? true : undefined), {
      withinMs: 20_000,
    })
    expect((await ours.icmp(address, { count: 20, waitSeconds: 5 })).length).toBeGreaterThan(0)
    const told = async () => ((await ours.status()).Health ?? []).find((text) => text.includes('root helper'))
    expect(await eventually('health tells', told, { withinMs: 10_000 })).toContain(bare.helperSocket)
    expect(await resolvConf()).toBe(original)
  })
})
