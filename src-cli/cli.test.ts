import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Node } from '../src-contract/control/map.ts'
import { defaultPrefs, type Prefs } from '../src-contract/localapi/prefs.ts'
import { runCli } from './cli.ts'
import { localTime } from './commands/netcheck-text.ts'
import { blankPeer, FakeDaemon, runningStatus } from './fake-daemon.lab.ts'
import type { Terminal } from './verb.ts'
import { pintail } from './verbs.ts'

let folder: string
let daemon: FakeDaemon
let interrupt: AbortController

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-cli-'))
  daemon = new FakeDaemon(join(folder, 'd.sock'))
  interrupt = new AbortController()
  await daemon.listen()
})
afterEach(async () => {
  daemon.close()
  await rm(folder, { recursive: true, force: true })
})

async function pintailCli(line: string | string[], more: Partial<Terminal> = {}) {
  const seen = { out: '', err: '' }
  const terminal: Terminal = {
    out: (text) => {
      seen.out += text
    },
    err: (text) => {
      seen.err += text
    },
    draw: (text) => {
      seen.err += text
    },
    env: {},
    uid: 1000,
    platform: 'linux',
    interrupted: interrupt.signal,
    now: () => Date.parse('2026-03-01T12:00:00Z'),
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    isInteractive: false,
    confirm: async () => false,
    readFile: async () => 'file-key-1\n',
    readInput: async () => '',
    localAddresses: () => ['127.0.0.1', '100.64.0.1'],
    resolveHost: async () => [],
    graceMs: 0,
    ...more,
  }
  const words = typeof line === 'string' ? line.split(' ') : line
  const socket = terminal.env.PINTAIL_SOCKET === undefined ? [`--socket=${daemon.socketPath}`] : []
  const code = await runCli([...socket, ...words], terminal, pintail)
  return { code, ...seen }
}

const LOGGED_IN: Prefs = {
  ...defaultPrefs(),
  ControlURL: 'https://control.example.com',
  WantRunning: true,
  Config: { NodeID: 'n1', UserProfile: { ID: 1, LoginName: 'ann@example.com', DisplayName: '' } } as Prefs['Config'],
}

describe('the frame', () => {
  test('every verb has help with examples, on stdout, status 0', async () => {
    const verbs = (pintail.verbs ?? []).flatMap(({ name, verbs = [] }) => [
      name,
      ...verbs.map((v) => `${name} ${v.name}`),
    ])
    for (const verb of verbs) {
      const { code, out, err } = await pintailCli(`${verb} --help`)
      expect([code, err]).toEqual([0, ''])
      expect(out).toContain(`Usage: pintail ${verb}`)
      expect(out).toMatch(/Examples:\n {2}\$ /)
    }
    expect(daemon.asked).toEqual([])
  })

  test('[CLI-1] exit status: 2 for flags, 1 for the rest', async () => {
    expect(await pintailCli('nope')).toEqual({ code: 1, out: '', err: 'pintail: unknown subcommand: nope\n' })
    expect(await pintailCli('exit-node')).toEqual({
      code: 1,
      out: '',
      err: 'pintail exit-node: missing subcommand: list, suggest\n',
    })
    const bad = await pintailCli('status -bogus')
    expect([bad.code, bad.out]).toEqual([2, ''])
    expect(bad.err).toMatch(/^flag provided but not defined: -bogus\nUsage: pintail status/)
    expect((await pintailCli('up x')).err).toBe('too many non-flag arguments: ["x"]\n')
  })

  test('no daemon', async () => {
    daemon.close()
    const { code, err } = await pintailCli('status')
    expect(code).toBe(1)
    expect(err).toContain("failed to connect to local pintaild; it doesn't appear to be running")
  })

  test('a daemon that starts a moment later is waited for', async () => {
    daemon.close()
    const late = new FakeDaemon(join(folder, 'd.sock'))
    late.status = runningStatus()
    let clock = 0
    const sleep = async () => {
      clock += 100
      if (clock === 300) await late.listen()
    }
    expect((await pintailCli('ip -4', { graceMs: 2000, now: () => clock, sleep })).out).toBe('100.64.0.1\n')
    late.close()
  })

  test('[CLI-2] no rights: how to get them, without the key', async () => {
    daemon.answers.set('POST check-prefs', () => [403, 'checkprefs access denied\n'])
    const { code, err } = await pintailCli('up --auth-key=s3cr3t-key')
    expect(code).toBe(1)
    expect(err).toMatch(
      /^Access denied: checkprefs access denied\n\nUse 'sudo pintail --socket=\S+ up --auth-key=\[secret]'.\n/,
    )
    expect(err).toContain("set --operator=$USER' once.\n")
    expect((await pintailCli('up', { uid: 0 })).err).toBe('Access denied: checkprefs access denied\n')
    const { socketPath } = daemon // named by the environment, which sudo drops
    expect((await pintailCli('up', { env: { PINTAIL_SOCKET: socketPath } })).err).toBe(
      `Access denied: checkprefs access denied\n\nUse 'sudo pintail --socket=${socketPath} up'.\nTo not require root, use 'sudo pintail --socket=${socketPath} set --operator=$USER' once.\n`,
    )
  })
})

describe('up', () => {
  test('[CLI-3] [U2] the link at once, approval as a step of its own, then success', async () => {
    const url = 'https://control.example.com/a/1'
    daemon.after = (what) => {
      if (what !== 'POST login-interactive') return
      daemon.notify({ State: 0 })
      daemon.notify({ State: 2, BrowseToURL: url })
      daemon.notify({ State: 3 })
      daemon.notify({ State: 5 })
      daemon.notify({ State: 6 })
    }
    expect(await pintailCli('up --login-server=https://control.example.com')).toEqual({
      code: 0,
      out: '',
      err: `\nTo authenticate, visit:\n\n\t${url}\n\n\nTo approve your machine, visit (as admin):\n\n\thttps://control.example.com/admin\n\nSuccess.\n`,
    })
    expect(daemon.asked).toEqual([
      'GET status',
      'GET prefs',
      'GET watch-ipn-bus',
      'POST check-prefs',
      'POST start',
      'POST login-interactive',
      'GET status',
    ])
    expect(daemon.bodies.get('POST start')).toEqual({
      UpdatePrefs: { ...defaultPrefs(), ControlURL: 'https://control.example.com', WantRunning: true },
    })
  })

  test('with a key from a file nothing is asked of the person', async () => {
    daemon.after = (what) => what === 'POST login-interactive' && daemon.notify({ BrowseToURL: 'https://x', State: 6 })
    expect(await pintailCli('up --auth-key=file:/k --hostname=nas')).toEqual({ code: 0, out: '', err: '' })
    expect(daemon.bodies.get('POST start')).toMatchObject({ AuthKey: 'file-key-1', UpdatePrefs: { Hostname: 'nas' } })
  })

  test('--json and --qr', async () => {
    daemon.after = (what) => {
      if (what !== 'POST login-interactive') return
      daemon.notify({ BrowseToURL: 'https://x/a' })
      daemon.notify({ State: 6 })
    }
    const { out, err } = await pintailCli('up --json')
    expect(out).toMatch(
      /^{\n\t"AuthURL": "https:\/\/x\/a",\n\t"QR": "data:image\/png;base64,[^"]+",\n\t"BackendState": "NeedsLogin"\n}\n{\n {2}"BackendState": "Running"\n}\n$/,
    )
    expect(err).toBe('')
    for (const format of ['auto', 'ascii', 'large', 'small'])
      expect((await pintailCli(`up --qr --qr-format=${format}`)).err).toMatch(
        /visit:\n\n\thttps:\/\/x\/a\n\n[\s\S]{300}/,
      )
  })

  test('what the daemon cannot do is told', async () => {
    daemon.after = (what) => what === 'POST start' && daemon.notify({ ErrMessage: 'invalid key' })
    expect(await pintailCli('up --auth-key=k123')).toEqual({ code: 1, out: '', err: 'backend error: invalid key\n' })
    daemon.answers.set('POST start', () => [500, 'no space left on device\n'])
    daemon.after = () => undefined
    expect(await pintailCli('up')).toEqual({ code: 1, out: '', err: 'no space left on device\n' })
  })

  test('[CLI-2.1] control characters from a server do not reach the terminal', async () => {
    daemon.after = (what) => what === 'POST start' && daemon.notify({ ErrMessage: 'no\u001b]0;x\u0007\u009b8m\u202e!' })
    const { err } = await pintailCli('up')
    expect(err).toBe('backend error: no\\u001b]0;x\\u0007\\u009b8m\\u202e!\n')
  })

  test('after a while it says what the daemon complains about', async () => {
    const warning = (Severity: string, Text: string) => ({ WarnableCode: Text, Severity, Title: '', Text })
    const warnings = { a: warning('high', 'no answer from the server'), b: warning('low', 'update') }
    let patienceEnds = () => {}
    daemon.after = (what) => {
      if (what !== 'POST login-interactive') return
      daemon.notify({ Health: { Warnings: warnings as never } })
      setTimeout(() => patienceEnds(), 20)
      setTimeout(() => daemon.notify({ State: 6 }), 40)
    }
    const sleep = () =>
      new Promise<void>((resolve) => {
        patienceEnds = resolve
      })
    expect((await pintailCli('up', { sleep })).err).toBe('Still waiting:\n  - no answer from the server\n')
  })

  test('--timeout and Ctrl-C', async () => {
    const message = 'timeout waiting for Pintail service to enter a Running state; check health with "pintail status"\n'
    expect(await pintailCli('up --timeout=30ms')).toEqual({ code: 1, out: '', err: message })
    daemon.after = (what) => what === 'POST login-interactive' && interrupt.abort()
    expect(await pintailCli('up')).toEqual({ code: 1, out: '', err: message })
  })

  test('bare: only switches on', async () => {
    daemon.prefs = { ...LOGGED_IN, WantRunning: false, Hostname: 'nas' }
    daemon.status = runningStatus({ BackendState: 'Stopped', Health: ['Update available: 2', 'else'] })
    expect(await pintailCli('up')).toEqual({ code: 0, out: 'Update available: 2\n', err: '' })
    expect(daemon.bodies.get('PATCH prefs')).toEqual({ WantRunning: true, WantRunningSet: true })
    expect(daemon.asked).not.toContain('POST start')
  })

  test('while running only what was typed is edited', async () => {
    daemon.prefs = LOGGED_IN
    daemon.status = runningStatus()
    const line = 'up --login-server=https://control.example.com --accept-routes --exit-node=nas'
    expect(await pintailCli(line)).toEqual({ code: 0, out: '', err: '' })
    expect(daemon.bodies.get('PATCH prefs')).toEqual({
      RouteAll: true,
      RouteAllSet: true,
      ExitNodeID: 'n2',
      ExitNodeIDSet: true,
      ExitNodeIP: '',
      ExitNodeIPSet: true,
      AutoExitNode: '',
      AutoExitNodeSet: true,
      ControlURL: 'https://control.example.com',
      ControlURLSet: true,
      WantRunning: true,
      WantRunningSet: true,
    })
    expect((await pintailCli('up --login-server=https://other --reset')).err).toBe(
      "can't change --login-server without --force-reauth\n",
    )
  })

  test('[CLI-3] [U15] refuses to lose settings and prints the command that keeps them', async () => {
    daemon.prefs = { ...LOGGED_IN, Hostname: 'my nas', CorpDNS: false, OperatorUser: 'ann', AdvertiseTags: ['tag:a'] }
    const { code, err } = await pintailCli('up --accept-routes --timeout=5s', { env: { USER: 'ann' } })
    expect(code).toBe(1)
    expect(err).toContain('requires mentioning all\nnon-default flags.')
    expect(err.split('\n').at(-3)).toBe(
      "\tpintail up --accept-routes --timeout=5s --accept-dns=false --advertise-tags=tag:a --hostname='my nas' --login-server=https://control.example.com",
    )
    expect(daemon.asked).toEqual(['GET status', 'GET prefs'])
    const other = await pintailCli('up --accept-routes', { env: { USER: 'bob' } })
    expect(other.err).toContain('--operator=ann')
  })

  test('the same control server by another name, and a default that changed, are no loss', async () => {
    daemon.prefs = { ...LOGGED_IN, ControlURL: 'https://login.tailscale.com', NoStatefulFiltering: false }
    expect((await pintailCli('up --accept-dns --timeout=10ms')).err).toContain('timeout waiting')
  })

  test('--force-reauth waits for the new key', async () => {
    daemon.prefs = LOGGED_IN
    daemon.status = runningStatus()
    daemon.after = (what) => {
      if (what !== 'POST login-interactive') return
      daemon.notify({ State: 6 })
      daemon.notify({ SelfChange: { Key: daemon.status.Self.PublicKey } as Node })
      daemon.notify({ SelfChange: { Key: 'nodekey:ff' } as Node })
    }
    expect((await pintailCli('up --force-reauth --login-server=https://control.example.com')).code).toBe(0)
  })

  test.each([
    ['--exit-node-allow-lan-access', '--exit-node-allow-lan-access can only be used with --exit-node'],
    ['--exit-node=zzz', 'invalid value "zzz" for --exit-node; must be IP or peer hostname'],
    ['--exit-node=phone', 'node phone is not advertising an exit node'],
    ['--exit-node=100.64.0.9', 'no node found in netmap with IP 100.64.0.9'],
    [
      '--exit-node=100.64.0.1',
      'cannot use 100.64.0.1 as an exit node as it is a local IP address to this machine; did you mean --advertise-exit-node?',
    ],
    ['--advertise-routes=10.0.0.1/8', '10.0.0.1/8 has non-address bits set; expected 10.0.0.0/8'],
    ['--advertise-routes=::/0', '::/0 advertised without its IPv4 counterpart, please also advertise 0.0.0.0/0'],
    ['--advertise-tags=tag:9', 'tag: "tag:9": tag names must start with a letter, after \'tag:\''],
    ['--netfilter-mode=x', 'invalid value --netfilter-mode="x"'],
    ['--hostname=a_b', '"a_b" is not a valid DNS label: must only contain letters, numbers and hyphens'],
  ])('%s is refused before anything is sent', async (flag, message) => {
    daemon.status = runningStatus()
    expect(await pintailCli(`up ${flag}`)).toEqual({ code: 1, out: '', err: `${message}\n` })
    expect(daemon.asked).toEqual(['GET status'])
  })
})

describe('down, login, logout, switch', () => {
  test('down, twice', async () => {
    daemon.status = runningStatus()
    expect(await pintailCli('down')).toEqual({ code: 0, out: '', err: '' })
    expect(daemon.bodies.get('PATCH prefs')).toEqual({ WantRunning: false, WantRunningSet: true })
    daemon.status = runningStatus({ BackendState: 'Stopped' })
    expect(await pintailCli('down')).toEqual({ code: 0, out: '', err: 'Pintail was already stopped.\n' })
  })

  test('down over the very connection asks first', async () => {
    daemon.status = runningStatus()
    const env = { SSH_CLIENT: '100.64.0.7 50000 22' }
    expect((await pintailCli('down', { env })).err).toBe('aborted, no changes made\n')
    expect(daemon.asked).toEqual([])
    expect((await pintailCli('down', { env, confirm: async () => true })).code).toBe(0)
    expect((await pintailCli('down --accept-risk=lose-ssh', { env })).code).toBe(0)
  })

  test('login makes a profile first; logout', async () => {
    daemon.after = (what) => what === 'POST start' && daemon.notify({ State: 6 })
    expect((await pintailCli('login --nickname=work')).code).toBe(0)
    expect(daemon.asked[0]).toBe('PUT profiles/')
    expect(daemon.bodies.get('POST start')).toMatchObject({ UpdatePrefs: { ProfileName: 'work' } })
    expect(await pintailCli('logout')).toEqual({ code: 0, out: '', err: '' })
  })

  test('[PV-8] [U3] up and login do not drop the operator; up by others says so first', async () => {
    daemon.after = (what) => what === 'POST start' && daemon.notify({ State: 6 })
    daemon.prefs = { ...LOGGED_IN, OperatorUser: 'ann' }
    const operator = () => (daemon.bodies.get('POST start') as { UpdatePrefs: Prefs }).UpdatePrefs.OperatorUser
    expect((await pintailCli('login', { env: { USER: 'ann' } })).code).toBe(0)
    expect(operator()).toBe('ann')
    expect((await pintailCli('login --operator=bob', { uid: 0 })).code).toBe(0)
    expect(operator()).toBe('bob')
    for (const env of [{ USER: 'ann' }, { USER: 'root', SUDO_USER: 'ann' }]) {
      daemon.bodies.clear()
      expect((await pintailCli('up --login-server=https://control.example.com --auth-key=k', { env })).err).toBe('')
      expect(operator()).toBe('ann')
    }
    const lost = await pintailCli('up --login-server=https://control.example.com', { env: { USER: 'root' }, uid: 0 })
    expect(lost.err).toContain('pintail up --login-server=https://control.example.com --operator=ann\n')
  })

  test('[PV-8] [U3] what our daemon says to who has no rights is not said twice', async () => {
    const said =
      'start access denied; only root and the operator may. To be the operator, run: sudo pintail set --operator=$USER'
    daemon.answers.set('POST check-prefs', () => [403, `${said}\n`])
    expect((await pintailCli('up --timeout=5s')).err).toMatch(
      /^Access denied: start access denied;.*\$USER\n\nUse 'sudo pintail --socket=\S+ up --timeout=5s'\.\n$/,
    )
  })

  test('switch', async () => {
    const profile = (ID: string, Name: string, LoginName: string) =>
      ({
        ID,
        Name,
        NetworkProfile: { DomainName: `${Name}.net`, DisplayName: '', MagicDNSName: '' },
        UserProfile: { ID: 1, LoginName, DisplayName: '' },
      }) as never
    daemon.profiles = [profile('1ab3', 'work', 'ann@work.net'), profile('2cd4', 'home', 'ann@home.net')]
    daemon.currentProfile = { ID: '1ab3' }
    expect((await pintailCli('switch --list')).out).toBe(
      'ID    Tailnet   Account\n1ab3  work.net  work*\n2cd4  home.net  home\n',
    )
    expect(JSON.parse((await pintailCli('switch --list --json')).out)).toEqual([
      { id: '1ab3', nickname: 'work', tailnet: 'work.net', account: 'ann@work.net', selected: true },
      { id: '2cd4', nickname: 'home', tailnet: 'home.net', account: 'ann@home.net', selected: false },
    ])
    expect((await pintailCli('switch work')).out).toBe('Already on account "work"\n')
    expect((await pintailCli('switch zzz')).err).toBe('No profile named "zzz"\n')
    daemon.answers.set('POST profiles/2cd4', () => [204])
    daemon.answers.set('DELETE profiles/2cd4', () => [204])
    expect((await pintailCli('switch home.net')).out).toBe(
      'Switching to account "home.net"\nLogged out.\nTo log in, run:\n  pintail up\n',
    )
    daemon.status = runningStatus()
    expect((await pintailCli('switch 2cd4')).out).toBe('Switching to account "2cd4"\nSuccess.\n')
    expect((await pintailCli('switch remove home')).code).toBe(0)
  })
})

describe('set and get', () => {
  test('set changes what is mentioned', async () => {
    daemon.prefs = { ...LOGGED_IN, AdvertiseRoutes: ['10.0.0.0/8'] }
    daemon.status = runningStatus()
    const line = 'set --advertise-exit-node --hostname= --accept-dns=false --auto-update --relay-server-port=7'
    expect(await pintailCli(line)).toEqual({ code: 0, out: '', err: '' })
    expect(daemon.bodies.get('PATCH prefs')).toEqual({
      CorpDNS: false,
      CorpDNSSet: true,
      AdvertiseRoutes: ['0.0.0.0/0', '::/0', '10.0.0.0/8'],
      AdvertiseRoutesSet: true,
      AutoUpdate: { Check: true, Apply: true },
      AutoUpdateSet: { ApplySet: true },
      Hostname: '',
      HostnameSet: true,
      RelayServerPort: 7,
      RelayServerPortSet: true,
    })
    await pintailCli('set --advertise-routes=')
    expect(daemon.prefs.AdvertiseRoutes).toEqual(['0.0.0.0/0', '::/0'])
    await pintailCli('set --exit-node=')
    expect(daemon.bodies.get('PATCH prefs')).toMatchObject({ ExitNodeID: '', ExitNodeIDSet: true, ExitNodeIPSet: true })
  })

  test('set without flags shows its usage; the daemon may object', async () => {
    const { code, err } = await pintailCli('set')
    expect([code, err.slice(0, 19)]).toEqual([0, 'Usage: pintail set '])
    daemon.answers.set('PATCH prefs', () => [400, '{"Error":"Cannot advertise an exit node"}'])
    expect((await pintailCli('set --ssh')).err).toBe('Cannot advertise an exit node\n')
  })

  test('warnings about the machine', async () => {
    daemon.answers.set('GET check-ip-forwarding', () => [200, { Warning: 'IP forwarding is off' }])
    expect((await pintailCli('set --advertise-routes=10.0.0.0/8 --snat-subnet-routes=false')).out).toBe(
      'Warning: IP forwarding is off\n',
    )
    expect((await pintailCli('set --netfilter-mode=off')).out).toBe(
      'Warning: netfilter=off; configure iptables yourself.\n',
    )
  })

  test('get', async () => {
    daemon.prefs = { ...LOGGED_IN, Hostname: 'a b', AutoExitNode: 'any', AdvertiseRoutes: ['0.0.0.0/0', '::/0'] }
    expect((await pintailCli('get hostname')).out).toBe('a b\n')
    expect((await pintailCli('get exit-node')).out).toBe('auto:any\n')
    expect((await pintailCli('get --json advertise-exit-node')).out).toBe('{\n  "advertise-exit-node": true\n}\n')
    expect((await pintailCli('get --set-flags')).out).toContain(
      "--exit-node=auto:any --exit-node-allow-lan-access=false --hostname='a b' ",
    )
    const table = (await pintailCli('get')).out.split('\n')
    expect([table.length, table[0], table[1]]).toEqual([
      23,
      'NAME                           VALUE',
      'accept-dns                     true',
    ])
    expect((await pintailCli('get zzz')).err).toBe(
      'unknown setting "zzz"; see "pintail set --help" for valid settings\n',
    )
  })
})

describe('status, ip, whois, wait, exit-node', () => {
  test('[CLI-4] the whole page', async () => {
    daemon.status = runningStatus({ Health: ['slow'] })
    daemon.answers.set('GET serve-config', () => [200, { AllowFunnel: { 'air.example.ts.net:443': true } }])
    const { code, out } = await pintailCli('status --peers=false')
    expect([code, out]).toEqual([
      0,
      '100.64.0.1  air  ann@  linux  -  \n\n# Health check:\n#     - slow\n\n# Funnel on:\n#     - https://air.example.ts.net\n\n',
    ])
    daemon.answers.set('GET serve-config', () => [500, 'broken'])
    expect((await pintailCli('status --peers=false')).out).toContain(
      '# Funnel:\n#     - Unable to get Funnel status: broken\n',
    )
  })

  test('[CLI-4] --json is the object, without a final newline, whatever the state', async () => {
    daemon.status = runningStatus()
    const { code, out } = await pintailCli('status --json')
    expect([code, JSON.parse(out), out.endsWith('\n}')]).toEqual([0, daemon.status, true])
    daemon.status = { ...daemon.status, BackendState: 'Stopped', Peer: null }
    expect((await pintailCli('status -json=true -peers=false')).code).toBe(0)
    expect(await pintailCli('status')).toEqual({ code: 1, out: 'Pintail is stopped.\n', err: '' })
    daemon.status = runningStatus({ BackendState: 'NoState', Health: ['no control'] })
    expect((await pintailCli('status')).out).toBe('# Health check:\n#     - no control\n\nunexpected state: NoState\n')
  })

  test('ip', async () => {
    daemon.status = runningStatus()
    const out = async (line: string) => {
      const result = await pintailCli(line)
      return result.code === 0 ? result.out : `${result.code} ${result.err}`
    }
    expect(await out('ip')).toBe('100.64.0.1\nfd7a:115c:a1e0::1\n')
    expect(await out('ip -1')).toBe('100.64.0.1\n')
    expect(await out('ip -6 NAS')).toBe('fd7a:115c:a1e0::2\n')
    expect(await out('ip phone.example.ts.net.')).toBe('100.64.0.3\nfd7a:115c:a1e0::3\n')
    expect(await out('ip 100.64.0.9')).toBe('1 no peer or service found with IP 100.64.0.9\n')
    expect(await out('ip zzz')).toBe('1 error looking up IP of "zzz": no such host\n')
    expect(await out('ip -4 -6')).toBe('1 pintail ip -1, -4, and -6 are mutually exclusive\n')
    expect(await out('ip --assert=100.64.0.1')).toBe('')
    expect((await pintailCli('ip --assert=100.64.0.2')).code).toBe(1)
    daemon.status = { ...runningStatus({ BackendState: 'Stopped' }), TailscaleIPs: null }
    expect(await out('ip')).toBe('1 no current Pintail IPs; state: Stopped\n')
  })

  test('whois and whoami', async () => {
    expect((await pintailCli('whois 1.2.3.4')).err).toBe('peer not found\n')
    const Node = {
      Name: 'nas.example.ts.net.',
      StableID: 'n2',
      Addresses: ['100.64.0.2/32'],
      AllowedIPs: ['100.64.0.2/32', 'fd7a::2/128', '10.0.0.0/8'],
    }
    daemon.whois = {
      Node: Node as never,
      UserProfile: { ID: 1, LoginName: 'ann@example.com', DisplayName: '' },
      CapMap: { 'x.com/cap': [{ a: 1 }], 'a.com/b': null },
    }
    expect((await pintailCli('whois 100.64.0.2')).out).toBe(`Machine:
  Name:           nas.example.ts.net
  ID:             n2
  Addresses:      [100.64.0.2/32]
  AllowedIPs:     [10.0.0.0/8]
User:
  Name:     ann@example.com
  ID:       1
Capabilities:
  - a.com/b
  - x.com/cap:
      [
        {
          "a": 1
        }
      ]
`)
    daemon.status = runningStatus()
    expect((await pintailCli('whoami')).out).toContain('Tailnet:\n  Name:                example\n')
    expect(JSON.parse((await pintailCli('whoami --json')).out)).toEqual(daemon.whois)
  })

  test('wait: until running, until the interface has the address', async () => {
    daemon.after = (what) => what === 'GET watch-ipn-bus' && setImmediate(() => daemon.notify({ State: 6 }))
    daemon.status = runningStatus()
    expect(await pintailCli('wait')).toEqual({ code: 0, out: '', err: '' })
    expect((await pintailCli('wait --timeout=30ms', { localAddresses: () => [] })).code).toBe(1)
    daemon.status = runningStatus({ TUN: false })
    expect((await pintailCli('wait', { localAddresses: () => [] })).code).toBe(0)
  })

  test('exit-node', async () => {
    daemon.status = runningStatus()
    expect((await pintailCli('exit-node list')).out).toMatch(
      /^\n IP {13}HOSTNAME {15}COUNTRY {5}CITY {6}STATUS {5}\n 100\.64\.0\.2 {5}nas\.example\.ts\.net {5}- {11}- {9}- {10}\n\n# To use an exit node/,
    )
    const [nas] = Object.values(runningStatus().Peer ?? {})
    daemon.status = runningStatus({
      Peer: { x: blankPeer({ ...nas, Location: { Country: 'A\n 1.2.3.4\tevil', City: 'B' } }) },
    })
    expect((await pintailCli('exit-node list')).out.split('\n').filter((line) => line.includes('1.2.3.4'))).toEqual([
      expect.stringMatching(/^ 100\.64\.0\.2 .* A {2}1\.2\.3\.4 evil /),
    ])
    const at = (id: string, Country: string, City: string, Priority: number, more = {}) =>
      [
        id,
        blankPeer({
          DNSName: `${id}.`,
          ExitNodeOption: true,
          TailscaleIPs: ['100.64.1.1'],
          Location: { Country, CountryCode: Country.slice(0, 2), City, CityCode: City.slice(0, 3), Priority },
          ...more,
        }),
      ] as const
    daemon.status = runningStatus({
      Peer: Object.fromEntries([
        at('se1', 'Sweden', 'Malmo', 1),
        at('se2', 'Sweden', 'Malmo', 9),
        at('se3', 'Sweden', 'Gothenburg', 5),
        at('jp1', 'Japan', 'Tokyo', 1, { Online: false }),
      ]),
    })
    const rows = (text: string) =>
      text
        .split('\n')
        .slice(2)
        .filter((line) => line.startsWith(' '))
        .map((line) => line.trim().split(/ {2,}/).slice(1))
    expect(rows((await pintailCli('exit-node list')).out)).toEqual([
      ['jp1', 'Japan', 'Tokyo', 'offline'],
      ['se2', 'Sweden', 'Any', '-'],
      ['se3', 'Sweden', 'Gothenburg', '-'],
      ['se2', 'Sweden', 'Malmo', '-'],
    ])
    expect(rows((await pintailCli('exit-node list --filter=sweden')).out).length).toBe(3)
    expect((await pintailCli('exit-node list --filter=X')).err).toBe('no exit nodes found for "X"\n')
    daemon.answers.set('GET suggest-exit-node', () => [200, { ID: 'n2', Name: 'nas.example.ts.net.' }])
    expect((await pintailCli('exit-node suggest')).out).toMatch(/^Suggested exit node: nas\.example\.ts\.net\n/)
    daemon.answers.set('GET suggest-exit-node', () => [200, { ID: 'n2', Name: "x; reboot\n#'" }])
    expect((await pintailCli('exit-node suggest')).out).toBe(
      "Suggested exit node: x; reboot #'\nTo accept this suggestion, use `pintail set --exit-node='x; reboot #'\\'''`.\n",
    )
    expect((await pintailCli('exit-node suggest nas')).err).toBe('too many non-flag arguments: ["nas"]\n')
  })
})

describe('[CLI-5] [U8] ping', () => {
  beforeEach(() => {
    daemon.status = runningStatus()
  })

  test('relay first, then direct, which ends it', async () => {
    daemon.pings = [
      { DERPRegionID: 1, DERPRegionCode: 'tok', LatencySeconds: 0.19 },
      { Endpoint: '142.251.43.14:41642' },
    ]
    expect(await pintailCli('ping nas')).toEqual({
      code: 0,
      out: 'pong from nas (100.64.0.2) via DERP(tok) in 190ms\npong from nas (100.64.0.2) via 142.251.43.14:41642 in 12ms\n',
      err: '',
    })
  })

  test('never direct, or nothing at all', async () => {
    daemon.pings = [
      { DERPRegionID: 1, DERPRegionCode: 'tok' },
      { PeerRelay: '1.2.3.4:5:vni:7', Endpoint: '' },
    ]
    const { code, out, err } = await pintailCli('ping --c 2 nas')
    expect([code, err]).toEqual([1, 'direct connection not established\n'])
    expect(out).toContain('via peer-relay(1.2.3.4:5:vni:7) in 12ms')
    expect(await pintailCli('ping --c=2 --timeout=10ms nas')).toEqual({
      code: 1,
      out: 'ping "100.64.0.2" timed out\nping "100.64.0.2" timed out\n',
      err: 'no reply\n',
    })
  })

  test('other kinds stop after the first answer', async () => {
    daemon.pings = [{ PeerAPIPort: 4000 }, {}, { PeerAPIURL: 'http://100.64.0.2:4000' }, { Endpoint: '1.2.3.4:5' }]
    expect((await pintailCli('ping --tsmp nas')).out).toBe('pong from nas (100.64.0.2, 4000) via TSMP in 12ms\n')
    expect((await pintailCli('ping --icmp nas')).out).toBe('pong from nas (100.64.0.2) via ICMP in 12ms\n')
    expect((await pintailCli('ping --peerapi nas')).out).toBe(
      'hit peerapi of 100.64.0.2 (nas) at http://100.64.0.2:4000 in 12ms\n',
    )
    expect((await pintailCli('ping --until-direct=false -c 1 nas')).code).toBe(0)
  })

  test('this machine, no such peer, not connected', async () => {
    expect(await pintailCli('ping air')).toEqual({ code: 0, out: '100.64.0.1 is local Pintail IP\n', err: '' })
    daemon.pings = [{ Err: 'no matching peer' }]
    expect(await pintailCli('ping 100.64.0.99')).toEqual({ code: 1, out: '', err: 'no matching peer\n' })
    daemon.status = runningStatus({ BackendState: 'Stopped' })
    expect(await pintailCli('ping nas')).toEqual({ code: 1, out: 'Pintail is stopped.\n', err: '' })
  })
})

describe('[CLI-6] netcheck and debug', () => {
  const report = {
    Now: '2026-01-02T03:04:05.123456789Z',
    UDP: true,
    IPv4: true,
    IPv6: false,
    OSHasIPv6: true,
    MappingVariesByDestIP: null,
    UPnP: true,
    PMP: true,
    PCP: false,
    PreferredDERP: 2,
    RegionLatency: { '2': 12_345_678 },
    GlobalV4: '203.0.113.5:41641',
    GlobalV6: '',
    CaptivePortal: null,
  }

  test('the report', async () => {
    const region = (RegionID: number, RegionCode: string, RegionName: string) => ({
      RegionID,
      RegionCode,
      RegionName,
      Nodes: null,
    })
    daemon.derpMap = { Regions: { '1': region(1, 'a', 'Far'), '2': region(2, 'nyc', 'New York City') } }
    daemon.answers.set('POST pintail/netcheck', () => [200, report])
    expect((await pintailCli('netcheck --verbose')).out).toBe(`
Report:
	* Time: ${localTime(report.Now)}
	* UDP: true
	* IPv4: yes, 203.0.113.5:41641
	* IPv6: no, but OS has support
	* MappingVariesByDestIP: 
	* PortMapping: UPnP, NAT-PMP
	* Nearest DERP: New York City
	* DERP latency:
		- nyc: 12.3ms  (derp2, New York City)
		-   a:         (derp1, Far)
`)
    const json = await pintailCli('netcheck --format=json-line')
    expect([JSON.parse(json.out), json.err]).toEqual([
      report,
      '# Warning: this JSON format is not yet considered a stable interface\n',
    ])
    expect((await pintailCli('netcheck --format=x')).err).toBe('unknown output format "x"\n')
    daemon.answers.set('POST pintail/netcheck', () => [200, { ...report, RegionLatency: {} }])
    expect((await pintailCli('netcheck')).out).toContain('* Nearest DERP: unknown (no response to latency probes)\n')
  })

  test('times in any zone', () => {
    expect(localTime(report.Now, 0)).toBe('2026-01-02 03:04:05.123456789Z')
    expect(localTime('2026-01-02T03:04:05.100Z', 330)).toBe('2026-01-02 08:34:05.1+05:30')
    expect(localTime('2026-01-02T03:04:05Z', -300)).toBe('2026-01-01 22:04:05-05:00')
    expect(localTime('2026-01-02T03:04:05+02:00', 60)).toBe('2026-01-02 02:04:05+01:00')
    expect(localTime('garbage')).toBe('garbage')
  })

  test('a stock daemon does not measure', async () => {
    expect((await pintailCli('netcheck')).err).toContain('is not pintaild and cannot measure for us')
    expect((await pintailCli('debug paths')).err).toContain('is not pintaild')
  })

  test('debug', async () => {
    daemon.after = (what) => what === 'GET watch-ipn-bus' && setImmediate(() => daemon.notify({ State: 6 }))
    expect(await pintailCli('debug watch-ipn --count=1 --initial')).toEqual({
      code: 0,
      out: '{\n\t"State": 6\n}\n',
      err: 'Connected.\n',
    })
    expect((await pintailCli('debug prefs')).out).toMatch(/^{\n\t"ControlURL": "",\n/)
    expect(await pintailCli('debug localapi nothere')).toEqual({
      code: 1,
      out: '404 page not found\n',
      err: '# doing request GET /localapi/v0/nothere\n# Response status 404 Not Found\n404 Not Found\n',
    })
    daemon.status = runningStatus()
    daemon.answers.set('GET pintail/paths', () => [
      200,
      {
        n2: {
          kind: 'direct',
          endpoint: '1.2.3.4:5',
          derpRegion: 1,
          derpRegionCode: 'tok',
          latencyMs: 3.14,
          candidates: [],
          history: [{ at: 'T', from: 'relay', to: 'direct', endpoint: '1.2.3.4:5', derpRegion: 0, reason: 'pong' }],
        },
      },
    ])
    expect((await pintailCli('debug paths')).out).toBe(
      'nas    direct 1.2.3.4:5          3.1ms  \n  T    relay → direct 1.2.3.4:5  pong   \nphone  none                      \n',
    )
  })
})
