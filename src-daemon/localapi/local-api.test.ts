import { statSync } from 'node:fs'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { watchMask as m } from '../../src-contract/localapi/notify.ts'
import type { Prefs } from '../../src-contract/localapi/prefs.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import type { SubnetRoutes } from '../../src-contract/localapi/subnet-routes.ts'
import { MemoryStore } from '../io/store/memory.ts'
import { firstMap, TestDaemon, testNode } from './test-daemon.contract-suite.ts'

let daemon: TestDaemon
beforeEach(async () => {
  daemon = await TestDaemon.open()
})
afterEach(() => daemon.close())

const status = async (query = '') => (await daemon.call('GET', `status${query}`)).json as Status

describe('[LA-1] who may talk to the daemon', () => {
  test.each<[string, { [name: string]: string | string[] }]>([
    ['Origin', { origin: 'null' }],
    ['Referer', { referer: 'http://local-tailscaled.sock/' }],
    ...[
      'localhost',
      '127.0.0.1',
      'local-tailscaled.sock:80',
      'LOCAL-TAILSCALED.SOCK',
      'local-tailscaled.sock.evil.example',
    ].map((host): [string, { [name: string]: string }] => [`Host ${host}`, { host }]),
  ])('%s is refused', async (_name, headers) => {
    for (const method of ['GET', 'POST', 'PATCH']) {
      const answer = await daemon.call(method, 'prefs', { headers, body: { WantRunning: true, WantRunningSet: true } })
      expect([answer.status, answer.text]).toEqual([403, 'invalid localapi request\n'])
    }
    expect(daemon.backend.prefs.WantRunning).toBe(false)
  })

  test.each(['http://local-tailscaled.sock/localapi/v0/status', '*'])(
    'request target %s is refused',
    async (target) => {
      expect((await daemon.call(target === '*' ? 'OPTIONS' : 'GET', '', { target })).status).toBe(403)
    },
  )

  test('an empty Host and none at all are fine, two are not', async () => {
    const raw = (head: string) =>
      new Promise<string>((resolve) => {
        const socket = connect(daemon.socketPath, () => socket.write(`${head}\r\nConnection: close\r\n\r\n`))
        let text = ''
        socket.on('data', (chunk) => {
          text += chunk
        })
        socket.on('close', () => resolve(text.split('\r\n')[0] ?? ''))
      })
    expect(await raw('GET /localapi/v0/status HTTP/1.1')).toContain('200')
    expect(await raw('GET /localapi/v0/status HTTP/1.1\r\nHost:')).toContain('200')
    const host = 'Host: local-tailscaled.sock'
    expect(await raw(`GET /localapi/v0/status HTTP/1.1\r\n${host}\r\n${host}`)).toMatch(/ 40[03] /)
    expect(await raw('CONNECT a:1 HTTP/1.1')).toContain('405')
    expect(await raw('nonsense')).toContain('400')
  })

  test('others read, root and the operator write, unknown callers get nothing', async () => {
    const edit = { body: { Hostname: 'x', HostnameSet: true } }
    expect((await daemon.call('GET', 'status', { uid: 1000 })).status).toBe(200)
    expect((await daemon.call('PATCH', 'prefs', { ...edit, uid: 1000 })).status).toBe(403)
    expect((await daemon.call('GET', 'profiles/', { uid: 1000 })).status).toBe(403)
    daemon.operatorUids = { ada: 1000 }
    const operator = { OperatorUser: 'ada', OperatorUserSet: true }
    expect((await daemon.call('PATCH', 'prefs', { body: operator, uid: 0 })).status).toBe(200)
    expect((await daemon.call('PATCH', 'prefs', { ...edit, uid: 1000 })).status).toBe(200)
    expect((await daemon.call('PATCH', 'prefs', { ...edit, uid: 1001 })).status).toBe(403)
    daemon.caller = undefined
    expect((await daemon.call('GET', 'status')).status).toBe(403)
    expect((await daemon.call('GET', 'derpmap')).status).toBe(403)
  })

  test('[PV-8] [U3] who is refused hears the command that lets him in; unknown callers hear nothing', async () => {
    const { status, text } = await daemon.call('POST', 'start', { body: {}, uid: 1000 })
    expect([status, text]).toEqual([
      403,
      `start access denied; only root and the operator may. To be the operator, run: sudo pintail --socket='${daemon.socketPath}' set --operator=$USER\n`,
    ])
    daemon.caller = undefined
    expect((await daemon.call('GET', 'status')).text).toBe('status access denied\n')
  })

  test('[PV-8] [U3] the operator of one profile is that of each new one, after signing out, too', async () => {
    daemon.operatorUids = { ada: 1000 }
    await daemon.join()
    const ada = { uid: 1000 }
    expect(
      (await daemon.call('PATCH', 'prefs', { body: { OperatorUser: 'ada', OperatorUserSet: true }, uid: 0 })).status,
    ).toBe(200)
    const operator = () => daemon.backend.prefs.OperatorUser
    // as a stock client signs in to another account: a new profile, then all prefs, which do not name him
    expect((await daemon.call('PUT', 'profiles/', ada)).status).toBe(201)
    expect(operator()).toBe('ada')
    const wish = { body: { UpdatePrefs: { WantRunning: true, ControlURL: 'https://other.example' } } }
    expect((await daemon.call('POST', 'start', { ...wish, ...ada })).status).toBe(204)
    expect([operator(), daemon.backend.prefs.ControlURL]).toEqual(['ada', 'https://other.example'])
    expect((await daemon.call('POST', 'login-interactive', ada)).status).toBe(204)
    const [first] = (await daemon.call('GET', 'profiles/', ada)).json as { ID: string }[]
    expect((await daemon.call('POST', `profiles/${first!.ID}`, ada)).status).toBe(204)
    expect((await daemon.call('POST', 'logout', ada)).status).toBe(204)
    expect(operator()).toBe('ada')
    expect((await daemon.call('POST', 'reset-auth', ada)).status).toBe(204)
    expect(operator()).toBe('ada')
    // root says who it is, by leaving him out as well
    expect((await daemon.call('POST', 'start', { ...wish, uid: 0 })).status).toBe(204)
    expect(operator()).toBeUndefined()
    expect((await daemon.call('POST', 'start', { ...wish, ...ada })).status).toBe(403)
  })

  test('[PV-8] [U3] an operator who is no user of this machine is refused; one whose account went away is left alone', async () => {
    const name = 'a"\nb'
    const problem = 'the operator must be a user of this machine; there is no "a\\"\\nb"'
    const prefs = async (OperatorUser: string) =>
      (await daemon.call('PATCH', 'prefs', { body: { OperatorUser, OperatorUserSet: true } })).json
    expect(await prefs(name)).toEqual({ Error: problem })
    expect((await daemon.call('POST', 'check-prefs', { body: { OperatorUser: name } })).json).toEqual({
      Error: problem,
    })
    expect((await daemon.call('POST', 'start', { body: { UpdatePrefs: { OperatorUser: name } } })).text).toContain(
      problem,
    )
    daemon.operatorUids = { ada: 1000 }
    expect(await prefs('ada')).toMatchObject({ OperatorUser: 'ada' })
    daemon.operatorUids = {}
    expect((await daemon.call('PATCH', 'prefs', { body: { Hostname: 'x', HostnameSet: true } })).status).toBe(200)
    expect(await prefs('')).not.toHaveProperty('OperatorUser')
  })

  test('anybody may connect to the socket, its folder is open', () => {
    expect(statSync(daemon.socketPath).mode & 0o777).toBe(0o666)
  })

  test('a second daemon on the socket is refused', async () => {
    const { openLocalApi } = await import('./server.ts')
    const again = openLocalApi({ socketPath: daemon.socketPath } as Parameters<typeof openLocalApi>[0])
    await expect(again).rejects.toMatchObject({ name: 'SocketInUseError' })
  })
})

describe('[LA-2] HTTP', () => {
  test('unknown paths and methods', async () => {
    expect((await daemon.call('GET', 'nothing')).status).toBe(404)
    expect((await daemon.call('GET', 'status/x')).status).toBe(404)
    expect((await daemon.call('DELETE', 'status')).status).toBe(405)
    expect((await daemon.call('GET', '', { target: '/' })).text).toBe('tailscaled\n')
    expect((await daemon.call('GET', '', { target: '/server-status' })).json).toEqual({})
  })

  test('no version header, so that another client does not complain; protective headers are there', async () => {
    const { headers } = await daemon.call('GET', 'status')
    expect(headers['tailscale-version']).toBeUndefined()
    expect(headers['x-frame-options']).toBe('DENY')
    expect(headers['content-security-policy']).toContain("default-src 'none'")
  })

  test('bodies: broken JSON, too large, HEAD without one', async () => {
    expect((await daemon.call('PATCH', 'prefs', { body: '{' })).status).toBe(400)
    expect((await daemon.call('POST', 'start', { body: `"${'x'.repeat(2 << 20)}"` })).status).toBe(413)
    const head = await daemon.call('HEAD', 'prefs')
    expect([head.status, head.text]).toEqual([200, ''])
  })
})

describe('[LA-3] status', () => {
  test('before any login', async () => {
    expect(await status()).toMatchObject({
      Version: '9.9.9-test',
      TUN: true,
      BackendState: 'NeedsLogin',
      AuthURL: '',
      TailscaleIPs: null,
      Self: { HostName: 'box', OS: 'linux', PublicKey: `nodekey:${'0'.repeat(64)}` },
      Health: [],
      CurrentTailnet: null,
      Peer: null,
      User: null,
      ClientVersion: null,
    })
  })

  test('running, with and without peers', async () => {
    await daemon.join()
    daemon.plane.runtimes.set('n2', {
      rxBytes: 5,
      txBytes: 7,
      lastWriteMs: Date.now(),
      lastHandshakeMs: 1,
      session: 'established',
      directEndpoint: '192.0.2.9:41641' as never,
      relayRegion: 1,
    })
    const full = await status()
    expect(full).toMatchObject({
      BackendState: 'Running',
      HaveNodeKey: true,
      TailscaleIPs: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
      CurrentTailnet: { Name: 'example.com', MagicDNSSuffix: 'example.ts.net', MagicDNSEnabled: true },
      User: { 1: { LoginName: 'ada@' } },
    })
    expect(Object.keys(full.Peer ?? {})).toEqual([testNode(2).Key, testNode(3).Key])
    expect(full.Peer?.[testNode(2).Key]).toMatchObject({
      ID: 'n2',
      HostName: 'host2',
      CurAddr: '192.0.2.9:41641',
      Relay: 'home',
      RxBytes: 5,
      Active: true,
      InEngine: true,
    })
    expect(full.Peer?.[testNode(3).Key]).toMatchObject({ Active: false, CurAddr: '', InEngine: false, Online: true })
    expect((await status('?peers=false')).Peer).toBeNull()
  })

  test('members are in stock’s order, maps sorted; the own capabilities also as a list', async () => {
    await daemon.join(firstMap({ Node: testNode(1, { CapMap: { 'https://b': null, a: null }, Tags: ['tag:x'] }) }))
    const { Self, Peer } = await status()
    const places = ['ID', 'TailscaleIPs', 'AllowedIPs', 'Tags', 'Addrs', 'Capabilities', 'CapMap', 'InNetworkMap']
    expect(Object.keys(Self).filter((name) => places.includes(name))).toEqual(places)
    expect(Self.Capabilities).toEqual([expect.stringContaining('DEPRECATED-NODE-CAPS'), 'a', 'https://b'])
    expect(Object.keys(Self.CapMap!)).toEqual(['a', 'https://b'])
    const peer = Object.keys(Peer![testNode(2).Key]!)
    expect(peer.indexOf('AllowedIPs')).toBe(peer.indexOf('TailscaleIPs') + 1)
  })
})

describe('[LA-4] prefs', () => {
  test('only the named member changes, keys stay zeroed', async () => {
    await daemon.join()
    const answer = await daemon.call('PATCH', 'prefs', {
      body: { Hostname: 'new', HostnameSet: true, ShieldsUp: true },
    })
    expect(answer.json).toMatchObject({ Hostname: 'new', ShieldsUp: false, WantRunning: true })
    const { Config } = answer.json as Prefs
    expect(Config).toMatchObject({ UserProfile: { LoginName: 'ada@' } })
    const stockOrder = ['PrivateNodeKey', 'OldPrivateNodeKey', 'UserProfile', 'NetworkLockKey', 'NodeID']
    expect(Object.keys(Config!)).toEqual(stockOrder)
    expect(answer.text).not.toMatch(/privkey:(?!0{64})/)
    expect(daemon.control.updates).not.toEqual([])
  })

  test('refusals are {"Error"} with 400; check-prefs answers 200', async () => {
    const patch = await daemon.call('PATCH', 'prefs', {
      body: { AdvertiseRoutes: ['10.0.0.1/8'], AdvertiseRoutesSet: true },
    })
    expect([patch.status, patch.json]).toEqual([
      400,
      { Error: 'route 10.0.0.1/8 has non-address bits set; expected 10.0.0.0/8' },
    ])
    const check = await daemon.call('POST', 'check-prefs', { body: { RunSSH: true } })
    expect([check.status, check.json]).toEqual([200, { Error: 'The SSH server is not supported by this daemon.' }])
    expect((await daemon.call('POST', 'check-prefs', { body: {} })).json).toEqual({})
  })

  test('[RTE-4.4] one switch for the exit node: off remembers it, on brings it back', async () => {
    const toggle = async (enabled: boolean) => {
      const { status, json } = await daemon.call('POST', `set-use-exit-node-enabled?enabled=${enabled}`)
      const { ExitNodeID, InternalExitNodePrior, AutoExitNode } = (json ?? {}) as Partial<Prefs>
      return status === 200 ? [ExitNodeID, InternalExitNodePrior, AutoExitNode] : status
    }
    expect(await toggle(true)).toBe(500)
    expect(await toggle(false)).toEqual(['', '', undefined])
    await daemon.join()
    await daemon.call('PATCH', 'prefs', { body: { ExitNodeID: 'n2', ExitNodeIDSet: true } })
    expect(daemon.plane.config?.wish.exit).toEqual({ peer: undefined })
    expect((await status()).Health?.join()).toContain('does not offer it')
    expect(await toggle(false)).toEqual(['', 'n2', undefined])
    expect(daemon.plane.config?.wish.exit).toBeUndefined()
    expect((await status()).Health).toEqual([])
    expect(await toggle(false)).toEqual(['', 'n2', undefined])
    expect(await toggle(true)).toEqual(['n2', '', undefined])
    expect((await daemon.call('POST', 'set-use-exit-node-enabled?enabled=maybe')).status).toBe(400)
  })

  test('[RTE-4.4] what was switched off is remembered over a restart', async () => {
    await daemon.join()
    await daemon.call('PATCH', 'prefs', { body: { ExitNodeID: 'n2', ExitNodeIDSet: true } })
    await daemon.call('POST', 'set-use-exit-node-enabled?enabled=false')
    const again = await TestDaemon.open(new MemoryStore(daemon.store.text))
    try {
      expect(again.backend.prefs).toMatchObject({ ExitNodeID: '', InternalExitNodePrior: 'n2' })
      const back = await again.call('POST', 'set-use-exit-node-enabled?enabled=true')
      expect(back.json).toMatchObject({ ExitNodeID: 'n2', InternalExitNodePrior: '' })
    } finally {
      await again.close()
    }
  })

  test('[RTE-4.5] the suggestion, and automatic choice by it', async () => {
    expect((await daemon.call('GET', 'suggest-exit-node')).json).toEqual({ error: 'no netmap, try again later' })
    await daemon.join()
    expect((await daemon.call('GET', 'suggest-exit-node')).json).toEqual({ ID: '', Name: '' })
    const exit = { CapMap: { 'suggest-exit-node': [] }, Online: true, HomeDERP: 1 }
    const AllowedIPs = [...testNode(2).Addresses!, '0.0.0.0/0', '::/0']
    daemon.control.send({ PeersChanged: [testNode(2, { ...exit, AllowedIPs })] })
    expect((await daemon.call('POST', 'suggest-exit-node')).json).toMatchObject({ ID: 'n2', Name: testNode(2).Name })
    const body = { AutoExitNode: 'any', AutoExitNodeSet: true, ExitNodeID: 'auto:any', ExitNodeIDSet: true }
    await daemon.call('PATCH', 'prefs', { body })
    expect(daemon.backend.prefs).toMatchObject({ ExitNodeID: 'n2', AutoExitNode: 'any' })
    daemon.control.send({ OnlineChange: { 2: false } })
    expect(daemon.backend.prefs).toMatchObject({ ExitNodeID: 'auto:any', AutoExitNode: 'any' })
    expect(daemon.plane.config?.wish.exit).toEqual({ peer: undefined })
  })

  test('[RTE-4.6] watchers hear of another suggestion', async () => {
    await daemon.join()
    const watch = await daemon.watch(m.initialSuggestedExitNode)
    expect((await watch.find((n) => n.SuggestedExitNode !== undefined)).SuggestedExitNode).toBe('')
    const exit = { CapMap: { 'suggest-exit-node': [] }, Online: true, HomeDERP: 1 }
    const AllowedIPs = [...testNode(2).Addresses!, '0.0.0.0/0', '::/0']
    daemon.control.send({ PeersChanged: [testNode(2, { ...exit, AllowedIPs })] })
    await watch.find((n) => n.SuggestedExitNode === 'n2')
  })

  test('[RTE-6] subnets of others: listed with what keeps each from use, switched off and on again', async () => {
    await daemon.join()
    const list = async () =>
      ((await daemon.call('GET', 'pintail/routes')).json as SubnetRoutes).Routes.map(
        ({ Prefix, Via, Reason }) => `${Prefix} ${Via} ${Reason}`,
      )
    expect(await list()).toEqual([])
    const offer = (id: number, ...subnets: string[]) =>
      testNode(id, { AllowedIPs: [...testNode(id).Addresses!, ...subnets] })
    daemon.control.send({ PeersChanged: [offer(2, '10.0.0.0/8'), offer(3, '10.0.0.0/8', '192.168.5.0/24')] })
    expect((await list())[0]).toBe('10.0.0.0/8 n2 not-accepted')
    await daemon.call('PATCH', 'prefs', { body: { RouteAll: true, RouteAllSet: true } })
    expect(await list()).toEqual(['10.0.0.0/8 n2 ', '10.0.0.0/8 n3 taken', '192.168.5.0/24 n3 '])
    const off = await daemon.call('PATCH', 'pintail/routes', { body: { Off: ['192.168.5.7/24'] } })
    expect(off.json).toMatchObject({ Off: ['192.168.5.0/24'] })
    expect(daemon.plane.config?.wish.routesOff).toEqual(['192.168.5.0/24'])
    expect((await list())[2]).toBe('192.168.5.0/24 n3 off')
    expect(daemon.store.text).toContain('192.168.5.0/24')
    await daemon.call('PATCH', 'pintail/routes', { body: { On: ['192.168.5.0/24'] } })
    expect(daemon.plane.config?.wish.routesOff).toEqual([])
    for (const body of [
      [],
      { Off: 'all' },
      { Off: ['10.0.0.0'] },
      { On: [7] },
      { Off: Array(1001).fill('10.0.0.0/8') },
    ])
      expect((await daemon.call('PATCH', 'pintail/routes', { body })).status).toBe(400)
  })

  test('a full disk: the edit is refused, nothing changes, health says why and recovers', async () => {
    await daemon.join()
    daemon.store.failure = new Error('ENOSPC: no space left on device')
    const answer = await daemon.call('PATCH', 'prefs', { body: { Hostname: 'new', HostnameSet: true } })
    expect(answer.json).toEqual({ Error: 'cannot save the state: ENOSPC: no space left on device' })
    expect(daemon.backend.prefs.Hostname).toBe('')
    expect((await status()).Health?.join()).toContain('no space left')
    daemon.store.failure = undefined
    await daemon.call('PATCH', 'prefs', { body: { Hostname: 'new', HostnameSet: true } })
    expect((await status()).Health).toEqual([])
  })
})

describe('[LA-5] states', () => {
  test('up with a key: watchers see each state, the login and the prefs', async () => {
    const watch = await daemon.watch(0)
    await daemon.join()
    await watch.find((n) => n.State === 6)
    expect(watch.heard.flatMap((n) => n.State ?? [])).toEqual([0, 5, 6])
    expect(watch.heard.some((n) => n.LoginFinished !== null)).toBe(true)
    expect(daemon.control.logins).toEqual([{ authKey: 'key', interactive: false }])
    watch.close()
  })

  test('start resets a running daemon, so that a waiting client hears of Running again', async () => {
    await daemon.join()
    const watch = await daemon.watch(0)
    await daemon.call('POST', 'start', { body: { UpdatePrefs: { WantRunning: true } } })
    daemon.control.authenticate()
    daemon.control.send(firstMap())
    await watch.find((n) => n.State === 6)
    watch.close()
  })

  test('interactive: the page, then running', async () => {
    const watch = await daemon.watch(0)
    await daemon.call('POST', 'start', {
      body: { UpdatePrefs: { WantRunning: true, ControlURL: 'https://net.example' } },
    })
    expect((await daemon.call('POST', 'login-interactive')).status).toBe(204)
    expect(daemon.control.logins).toEqual([{ authKey: '', interactive: true }])
    daemon.control.options.events.onAuthUrl('https://net.example/register/abc')
    await watch.find((n) => n.BrowseToURL === 'https://net.example/register/abc')
    expect(await status()).toMatchObject({ BackendState: 'NeedsLogin', AuthURL: 'https://net.example/register/abc' })
    const late = await daemon.watch(m.initialState)
    expect((await late.find(() => true)).BrowseToURL).toBe('https://net.example/register/abc')
    daemon.control.authenticate()
    daemon.control.send(firstMap())
    await watch.find((n) => n.State === 6)
    expect((await status()).AuthURL).toBe('')
    watch.close()
    late.close()
  })

  test('login-interactive right after a key does not throw the key away; later it asks for a page', async () => {
    await daemon.call('POST', 'start', { body: { AuthKey: 'k', UpdatePrefs: { WantRunning: true } } })
    await daemon.call('POST', 'login-interactive')
    expect(daemon.control.logins).toEqual([{ authKey: 'k', interactive: false }])
    daemon.control.options.events.onNeedsLogin('not-registered')
    await daemon.call('POST', 'login-interactive')
    expect(daemon.control.logins.at(-1)).toEqual({ authKey: '', interactive: true })
  })

  test('a refused key is an ErrMessage and NeedsLogin', async () => {
    const watch = await daemon.watch(0)
    await daemon.call('POST', 'start', { body: { AuthKey: 'bad', UpdatePrefs: { WantRunning: true } } })
    daemon.control.options.events.onError({ kind: 'refused', text: 'the key has expired' })
    expect((await watch.find((n) => n.ErrMessage !== null)).ErrMessage).toBe('the key has expired')
    expect((await status()).BackendState).toBe('NeedsLogin')
    watch.close()
  })

  test('a server that cannot be reached: at first patience, at once when it is something else', async () => {
    const watch = await daemon.watch(0)
    await daemon.call('POST', 'start', { body: { AuthKey: 'k', UpdatePrefs: { WantRunning: true } } })
    daemon.control.options.events.onError({ kind: 'unreachable', text: 'connection refused' })
    expect((await status()).Health?.join()).toContain('connection refused')
    expect(watch.heard.some((n) => n.ErrMessage !== null)).toBe(false)
    daemon.control.options.events.onError({ kind: 'not-a-control-server', text: 'this is a web page' })
    await watch.find((n) => n.ErrMessage === 'this is a web page')
    watch.close()
  })

  test('down and up again: the interface goes and comes, the login stays', async () => {
    await daemon.join()
    const { control } = daemon
    await daemon.call('PATCH', 'prefs', { body: { WantRunning: false, WantRunningSet: true } })
    expect(await status()).toMatchObject({ BackendState: 'Stopped', HaveNodeKey: true })
    expect([daemon.plane.config, control.isClosed]).toEqual([undefined, true])
    control.send({ PeersRemoved: [2] }) // a late word of the old link
    expect(Object.keys((await status()).Peer ?? {})).toHaveLength(2)
    await daemon.call('PATCH', 'prefs', { body: { WantRunning: true, WantRunningSet: true } })
    await daemon.until(() => daemon.backend.state === 'Running')
    expect(daemon.control).not.toBe(control)
    expect(daemon.control.options.nodeKey?.expose()).toEqual(control.options.nodeKey?.expose())
  })

  test('logout tells the server, forgets the key and keeps the machine', async () => {
    await daemon.join()
    const { control } = daemon
    expect((await daemon.call('POST', 'logout')).status).toBe(204)
    expect(control.isLoggedOut).toBe(true)
    expect(await status()).toMatchObject({ BackendState: 'NeedsLogin', TailscaleIPs: null })
    expect((await daemon.call('GET', 'profiles/')).json).toEqual([])
    expect(daemon.backend.prefs).toMatchObject({ LoggedOut: true, WantRunning: false, Config: null })
    expect((await daemon.call('POST', 'logout')).status).toBe(204)
    await daemon.call('POST', 'start', { body: { AuthKey: 'k2', UpdatePrefs: { WantRunning: true } } })
    expect(daemon.control.options.machineKey.expose()).toEqual(control.options.machineKey.expose())
    expect(daemon.control.options.nodeKey?.expose()).not.toEqual(control.options.nodeKey?.expose())
  })

  test('logout counts although the disk is full', async () => {
    await daemon.join()
    daemon.store.failure = new Error('ENOSPC')
    expect((await daemon.call('POST', 'logout')).status).toBe(204)
    expect(await status()).toMatchObject({ BackendState: 'NeedsLogin' })
    expect((await status()).Health?.join()).toContain('ENOSPC')
  })

  test('an expired own key is NeedsLogin and says so', async () => {
    await daemon.join()
    daemon.control.send({ Node: testNode(1, { KeyExpiry: '2020-01-01T00:00:00Z' }) })
    expect(await status()).toMatchObject({ BackendState: 'NeedsLogin' })
    expect((await status()).Health?.join()).toContain('expired')
  })

  test('[F16] a captive portal is a row while it is there; once it is gone everything tries at once', async () => {
    await daemon.join()
    daemon.plane.captivePortal = true
    daemon.plane.events.onSelf()
    expect((await status()).Health?.join()).toContain('before somebody signs in')
    expect(daemon.plane.networkChanges).toEqual([])
    daemon.plane.captivePortal = false
    daemon.plane.events.onSelf()
    daemon.plane.events.onSelf()
    expect((await status()).Health).toEqual([])
    expect(daemon.plane.networkChanges).toEqual([true])
  })

  test('addresses that somebody else owns: an error, and not Running', async () => {
    daemon.plane.routerResult = {
      kind: 'conflict',
      what: 'address',
      interfaceName: 'tailscale0',
      detail: 'tailscale0 has 100.64.0.1',
    }
    const watch = await daemon.watch(0)
    await daemon.call('POST', 'start', { body: { AuthKey: 'k', UpdatePrefs: { WantRunning: true } } })
    daemon.control.authenticate()
    daemon.control.send(firstMap())
    await watch.find((n) => n.ErrMessage?.includes('tailscale0 has 100.64.0.1') === true)
    expect((await status()).BackendState).toBe('Starting')
    watch.close()
  })

  test('a restart goes on with the same identity', async () => {
    await daemon.join()
    const again = await TestDaemon.open(new MemoryStore(daemon.store.text))
    try {
      expect(again.control.logins).toEqual([{ authKey: '', interactive: false }])
      expect(again.control.options.nodeKey?.expose()).toEqual(daemon.control.options.nodeKey?.expose())
      expect(again.control.options.machineKey.expose()).toEqual(daemon.control.options.machineKey.expose())
    } finally {
      await again.close()
    }
  })

  test.each(['{', '{}', '{"version":1,"machineKey":"privkey:00"}', '{"version":99}'])(
    'unreadable state %s never becomes a new identity',
    async (text) => {
      await expect(TestDaemon.open(new MemoryStore(text))).rejects.toMatchObject({ name: 'StateUnreadableError' })
    },
  )

  test('no server hears of a key that could not be saved', async () => {
    daemon.store.failure = new Error('EROFS')
    const answer = await daemon.call('POST', 'start', { body: { AuthKey: 'k', UpdatePrefs: { WantRunning: true } } })
    expect([answer.status, answer.text]).toEqual([500, 'cannot save the state: EROFS\n'])
    expect(daemon.controls).toEqual([])
  })
})

describe('[LA-5] profiles', () => {
  test('list, add, switch, delete with the exact codes', async () => {
    await daemon.join()
    const first = (await daemon.call('GET', 'profiles/current')).json as { ID: string }
    expect(first).toMatchObject({ Name: 'ada@', NetworkProfile: { DomainName: 'example.com' }, NodeID: 'n1' })
    expect(first.ID).toMatch(/^[0-9a-f]{4}$/)
    expect((await daemon.call('PUT', 'profiles/')).status).toBe(201)
    expect((await daemon.call('GET', 'profiles/current')).json).toMatchObject({ ID: '', Key: '' })
    expect((await status()).BackendState).toBe('NeedsLogin')
    expect((await daemon.call('POST', `profiles/${first.ID}`)).status).toBe(204)
    expect((await daemon.call('POST', `profiles/${first.ID}`)).status).toBe(204)
    expect((await daemon.call('POST', 'profiles/zzzz')).status).toBe(500)
    expect((await daemon.call('GET', 'profiles/zzzz')).status).toBe(404)
    expect((await daemon.call('GET', 'profiles/%zz')).status).toBe(404)
    expect((await daemon.call('DELETE', 'profiles/zzzz')).status).toBe(204)
    expect((await daemon.call('DELETE', `profiles/${first.ID}`)).status).toBe(204)
    expect((await daemon.call('GET', 'profiles/')).json).toEqual([])
  })
})

describe('[LA-6] watch', () => {
  test('the header comes at once, with mask 0 and nothing to say', async () => {
    const watch = await daemon.watch(0)
    expect(watch.heard).toEqual([])
    watch.close()
  })

  test.each([
    ['x', 400],
    [String(m.inProcessNoDisconnect), 400],
    [String(m.rateLimit | m.peerChanges), 400],
  ])('mask %s is refused', async (mask, code) => {
    expect((await daemon.call('GET', `watch-ipn-bus?mask=${mask}`)).status).toBe(code)
  })

  test('the first message of mask 287, and the map again when it changes', async () => {
    await daemon.join()
    const watch = await daemon.watch(287)
    const first = await watch.find(() => true)
    expect(first.SessionID).toMatch(/^[0-9a-f]{16}$/)
    expect(first).toMatchObject({ State: 6, Prefs: { WantRunning: true }, NetMap: { Domain: 'example.com' } })
    expect(first.NetMap?.Peers).toHaveLength(2)
    await watch.find((n) => n.Engine !== null)
    daemon.control.send({ PeersChanged: [testNode(4)], Node: testNode(1) })
    const next = await watch.find((n) => n.NetMap?.Peers?.length === 3)
    expect(next.SelfChange).toMatchObject({ StableID: 'n1' })
    watch.close()
  })

  test('deltas for those who take them', async () => {
    await daemon.join()
    const changes = await daemon.watch(m.peerChanges)
    const patches = await daemon.watch(m.peerPatches)
    daemon.control.send({ OnlineChange: { 2: false } })
    expect((await changes.find((n) => n.PeersChanged !== undefined)).PeersChanged).toMatchObject([
      { ID: 2, Online: false },
    ])
    expect((await patches.find((n) => n.PeerChangedPatch !== undefined)).PeerChangedPatch).toMatchObject([
      { NodeID: 2, Online: false },
    ])
    daemon.control.send({ PeersRemoved: [3] })
    expect((await changes.find((n) => n.PeersRemoved !== undefined)).PeersRemoved).toEqual([3])
    changes.close()
    patches.close()
  })

  test('a watcher that does not read is dropped, the others go on', async () => {
    await daemon.join()
    const lazy = connect(daemon.socketPath)
    lazy.write('GET /localapi/v0/watch-ipn-bus?mask=0 HTTP/1.1\r\nHost: local-tailscaled.sock\r\n\r\n')
    lazy.pause()
    await new Promise((resolve) => setTimeout(resolve, 50))
    const name = 'n'.repeat(60_000)
    for (let i = 0; i < 200; i++) {
      daemon.control.send({ Node: testNode(1, { ComputedName: name }) })
    }
    let text = ''
    await new Promise<void>((resolve) => {
      lazy.on('data', (chunk) => {
        text = (text + chunk).slice(-1000)
        if (text.includes('closing watch')) resolve()
      })
      lazy.resume()
    })
    expect(text).toContain('IPN bus consumer fell behind; closing watch')
    lazy.destroy()
    expect((await daemon.call('GET', 'status')).status).toBe(200)
  })
})

describe('[LA-7] network questions', () => {
  test('ping: bad requests, self, strangers, peers', async () => {
    const ping = (query: string) => daemon.call('POST', `ping?${query}`)
    expect((await ping('ip=100.64.0.2&type=disco')).json).toMatchObject({ Err: 'local tailscaled stopped' })
    await daemon.join()
    expect((await ping('type=disco')).status).toBe(400)
    expect((await ping('ip=100.64.0.2&type=Disco')).status).toBe(400)
    expect((await ping('ip=100.64.0.2&type=TSMP&size=100')).status).toBe(400)
    expect((await ping('ip=100.64.0.2&type=disco&size=99999')).status).toBe(400)
    expect((await ping('ip=100.64.0.1&type=disco')).json).toMatchObject({ IsLocalIP: true })
    expect((await ping('ip=100.64.0.99&type=disco')).json).toMatchObject({ Err: 'no matching peer' })
    expect((await ping('ip=100.64.0.2&type=disco')).json).toMatchObject({
      IP: '100.64.0.2',
      NodeName: 'host2',
      Endpoint: '192.0.2.1:41641',
      Err: '',
    })
  })

  test('whois, peer-by-id, user-profile', async () => {
    await daemon.join()
    for (const addr of ['100.64.0.2', '100.64.0.2:80', '[fd7a:115c:a1e0::2]:80', testNode(2).Key]) {
      const answer = await daemon.call('GET', `whois?addr=${encodeURIComponent(addr)}`)
      expect(answer.json).toMatchObject({ Node: { ID: 2 }, UserProfile: { LoginName: 'ada@' }, CapMap: null })
    }
    const none = await daemon.call('GET', 'whois?addr=100.64.0.99')
    expect([none.status, none.text]).toEqual([404, 'no match for IP:port\n'])
    expect((await daemon.call('GET', 'whois?addr=')).status).toBe(400)
    expect((await daemon.call('GET', 'peer-by-id?id=3')).json).toMatchObject({ StableID: 'n3' })
    expect((await daemon.call('GET', 'peer-by-id?id=9')).status).toBe(404)
    expect((await daemon.call('GET', 'user-profile?id=1')).json).toMatchObject({ LoginName: 'ada@' })
  })

  test('[FLT-5.1] whois tells what the policy lets that peer do with this node, not with shields up', async () => {
    const grants = [
      { Dsts: ['100.64.0.1/32'], CapMap: { drive: [{ shares: ['docs'] }], relay: null } },
      { Dsts: ['100.64.0.3/32'], CapMap: { drive: ['another node'] } },
    ]
    await daemon.join(firstMap({ PacketFilter: [{ SrcIPs: ['100.64.0.2'], CapGrant: grants }] }))
    const capsOf = async (addr: string) =>
      ((await daemon.call('GET', `whois?addr=${encodeURIComponent(addr)}`)).json as { CapMap: unknown }).CapMap
    const granted = { drive: [{ shares: ['docs'] }], relay: null }
    for (const addr of ['100.64.0.2', '100.64.0.2:80', testNode(2).Key]) expect(await capsOf(addr)).toEqual(granted)
    for (const addr of ['100.64.0.3', '[fd7a:115c:a1e0::2]:80']) expect(await capsOf(addr)).toBeNull()
    await daemon.call('PATCH', 'prefs', { uid: 0, body: { ShieldsUp: true, ShieldsUpSet: true } })
    expect(await capsOf('100.64.0.2')).toBeNull()
  })

  test('derpmap is null before there is one', async () => {
    expect((await daemon.call('GET', 'derpmap')).json).toBeNull()
    await daemon.join()
    expect((await daemon.call('GET', 'derpmap')).json).toMatchObject({ Regions: { 1: { RegionCode: 'home' } } })
    expect((await daemon.call('GET', 'suggest-exit-node')).json).toEqual({ ID: '', Name: '' })
    expect((await daemon.call('GET', 'dns-config')).json).toEqual({ Proxied: true })
    expect((await daemon.call('POST', 'debug?action=current-netmap')).json).toMatchObject({ Domain: 'example.com' })
  })
})

test('[LA-8] small answers', async () => {
  const serve = await daemon.call('GET', 'serve-config')
  expect([serve.status, serve.text]).toEqual([200, 'null\n'])
  expect(serve.headers.etag).toMatch(/^[0-9a-f]{64}$/)
  expect((await daemon.call('GET', 'check-ip-forwarding')).json).toEqual({ Warning: '' })
  expect((await daemon.call('GET', 'check-udp-gro-forwarding')).json).toEqual({ Warning: '' })
  expect((await daemon.call('GET', 'pintail/features')).json).toMatchObject({
    version: '9.9.9-test',
    features: ['paths', 'netcheck', 'datapath', 'dns', 'routes', 'bypass', 'changes', 'route-explain', 'transfers'],
  })
  expect((await daemon.call('POST', 'bugreport')).text).toMatch(/^BUG-[0-9a-f]{64}-\d{14}Z-[0-9a-f]{16}\n$/)
  expect((await daemon.call('GET', 'usermetrics')).text).toContain('tailscaled_inbound_bytes_total 0')
})
