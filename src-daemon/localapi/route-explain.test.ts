/** `pintail/route-explain` through a real socket; the answers themselves: `engine/explain/explain.test.ts`. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RouteExplanation } from '../../src-contract/localapi/route-explain.ts'
import type { RoutingQuestion } from '../io/route-view/port.ts'
import { TestDaemon } from './test-daemon.contract-suite.ts'

let daemon: TestDaemon
beforeEach(async () => {
  daemon = await TestDaemon.open()
})
afterEach(() => daemon.close())

const explain = (query: string, uid?: number) =>
  daemon.call('GET', `pintail/route-explain?${query}`, uid === undefined ? {} : { uid })

test('[EXP-1] for whoever may read: about oneself, another user by number or name', async () => {
  const asked: RoutingQuestion[] = []
  daemon.routeView = {
    ...daemon.routeView,
    ask: async (question) => {
      asked.push(question)
      return { kind: 'refused', why: 'unreachable' }
    },
  }
  daemon.operatorUids = { build: 1007 }
  const mine = (await explain('to=10.0.1.100', 1000)).json as RouteExplanation
  expect(mine).toMatchObject({
    Asked: { To: '10.0.1.100', Kind: 'address', From: '', Uid: 1000, Proto: '', Port: 0 },
    Mode: 'kernel',
    IsRunning: false,
    Targets: [{ Verdict: 'unreachable', KernelAgrees: true }],
  })
  await explain('to=10.0.1.100&user=build&port=22')
  await explain('to=10.0.1.100&uid=0&proto=udp')
  expect(asked.map(({ uid, protocol, port }) => [uid, protocol, port])).toEqual([
    [1000, 17, 0],
    [1007, 6, 22],
    [0, 17, 0],
  ])
})

test.each([
  ['', 'is not an address, a network or a name'],
  ['to=10.0.0.1;reboot', 'is not an address'],
  ['to=--help', 'is not an address'],
  ['to=10.0.0.1&uid=x', 'NaN is not the number of a user'],
  ['to=10.0.0.1&uid=1e3.5', 'is not the number of a user'],
  ['to=10.0.0.1&user=nobody', 'there is no user "nobody"'],
  ['to=10.0.0.1&from=eth0', '"eth0" is not an address'],
  ['to=10.0.0.1&proto=gre', '"gre" is not tcp, udp or icmp'],
])('[EXP-1] %s is refused with a sentence', async (query, words) => {
  const { status, text } = await explain(query)
  expect([status, text]).toEqual([400, expect.stringContaining(words)])
})

test('[EXP-1] sixteen may wait; the next is told to come again', async () => {
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const { read } = daemon.routeView
  daemon.routeView = { ...daemon.routeView, read: (network) => gate.then(() => read(network)) }
  const waiting = Array.from({ length: 20 }, () => explain('to=1.1.1.1'))
  const refused: string[] = []
  for (const answer of waiting) void answer.then(({ status, text }) => status === 503 && refused.push(text))
  await expect.poll(() => refused.length, { timeout: 10_000 }).toBe(4)
  expect(refused[0]).toContain('try again')
  expect((await explain('to=1.1.1.1&user=build')).status, 'nor is a user looked up').toBe(503)
  release()
  const all = (await Promise.all(waiting)).map(({ status }) => status)
  expect(all.filter((status) => status === 200)).toHaveLength(16)
  expect((await explain('to=1.1.1.1')).status).toBe(200)
})

test('[EXP-1] a host that cannot be looked at is an error for this question, not for the next', async () => {
  const usual = daemon.routeView
  daemon.routeView = { ...usual, read: () => Promise.reject(new Error('no descriptors left')) }
  expect((await explain('to=1.1.1.1')).status).toBe(500)
  daemon.routeView = usual
  expect((await explain('to=1.1.1.1')).status).toBe(200)
})

test('[EXP-7] a name that others would be asked for is not looked up for whoever may only read', async () => {
  const { Names, Targets } = (await explain('to=git.corp.example', 1000)).json as RouteExplanation
  expect(Targets).toEqual([])
  expect(Names?.Problem).toContain('It was not looked up')
})

test('[EXP-1] for whoever has gone meanwhile nothing is looked at', async () => {
  let looks = 0
  const { read } = daemon.routeView
  daemon.routeView = {
    ...daemon.routeView,
    read: (network) => {
      looks++
      return read(network)
    },
  }
  const question = { To: '1.1.1.1', Kind: 'address', From: '', Uid: 0, Proto: '', Port: 0 } as const
  expect(await daemon.backend.explainRoute(question, { mayAsk: false, signal: AbortSignal.abort() })).toBe(undefined)
  expect(looks).toBe(0)
  await daemon.backend.explainRoute(question, { mayAsk: false, signal: new AbortController().signal })
  expect(looks).toBe(1)
})
