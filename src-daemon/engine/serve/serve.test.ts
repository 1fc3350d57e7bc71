import { expect, test } from 'vitest'
import type { IpText } from '../../../src-contract/ids.ts'
import type { ServeConfig } from '../../../src-contract/localapi/serve.ts'
import type { Netmap } from '../../../src-protocol/machines/netmap.ts'
import { silentLog } from '../../io/log/log.ts'
import type { ServedPort } from '../../io/serve/port.ts'
import { nothingServed } from './kept.ts'
import { Serve } from './serve.ts'

const me = { uid: 1000, gid: 1000 }
const self = { ID: 1, Name: 'nas.example.net.', Addresses: ['100.64.0.1/32'], User: 7 }
const peer = { ID: 2, Name: 'air.example.net.', Addresses: ['100.64.0.2/32'], User: 7 }
const netmap = {
  self,
  peers: new Map([['2', peer]]),
  userProfiles: new Map([['7', { ID: 7, LoginName: 'ann@example.net', DisplayName: 'Ann' }]]),
  filterRules: [],
} as unknown as Netmap
const config: ServeConfig = {
  TCP: { '80': { HTTP: true }, '22': { TCPForward: '127.0.0.1:22' } },
  Web: { 'nas.example.net:80': { Handlers: { '/': { Text: 'hi' } } } },
}

function open(mayReadFor = true) {
  const ports = new Map<string, ServedPort>()
  const serve = new Serve({
    open: async (address, port, served) => {
      ports.set(`${address}:${port}`, served)
      return { close: async () => void ports.delete(`${address}:${port}`) }
    },
    secureNames: () => undefined,
    mayReadFor: () => mayReadFor,
    log: silentLog,
  })
  return { serve, ports }
}

test('[SVE-5.4] only machines of this network are answered, by sites and by streams', async () => {
  const { serve, ports } = open()
  await serve.configure(netmap, false, { ...nothingServed, config })
  const web = ports.get('100.64.0.1:80')
  const stream = ports.get('100.64.0.1:22')
  if (web?.kind !== 'web' || stream?.kind !== 'stream') throw new Error('both are open')
  const from = (remote: string) => ({ remote: remote as IpText, port: 80, host: 'nas', sni: undefined, target: '/' })
  expect(web.answer(from('100.64.0.2'))).toEqual({ kind: 'text', text: 'hi' })
  expect(web.answer(from('192.168.1.9'))).toMatchObject({ kind: 'refused', status: 403 })
  const ends = (address: string) => ({ remote: { address: address as IpText, port: 1 }, local: '100.64.0.1' as IpText })
  expect(stream.plan(ends('100.64.0.2'))).toMatchObject({ to: { port: 22 } })
  expect(stream.plan(ends('192.168.1.9'))).toBe(undefined)
  await serve.configure(undefined, false, { ...nothingServed, config })
  expect(ports.size).toBe(0)
})

test('[SVE-10.2] a foreground part lives as long as its watch; taking it away ends the watch', async () => {
  const { serve, ports } = open()
  await serve.configure(netmap, false, nothingServed)
  const part: ServeConfig = { Foreground: { s1: { TCP: { '80': { HTTP: true } } } } }
  expect(serve.problemOf(part, me)).toMatch(/there is no watch/)
  let ended = 0
  const close = serve.openSession('s1', () => ended++)
  expect(serve.problemOf(part, me)).toBe(undefined)
  serve.hold(serve.changeTo(part, me))
  await serve.configure(netmap, false, nothingServed)
  expect([...ports.keys()]).toEqual(['100.64.0.1:80'])
  serve.hold(serve.changeTo({}, me))
  await serve.configure(netmap, false, nothingServed)
  expect([ended, ports.size]).toEqual([1, 0])
  serve.hold(serve.changeTo(part, me))
  await serve.configure(netmap, false, nothingServed)
  close()
  await serve.configure(netmap, false, nothingServed)
  expect([serve.config, ports.size]).toEqual([{}, 0])
})

test('[SVE-3.4] what this daemon or network cannot do is refused in words', () => {
  const { serve } = open(false)
  expect(serve.problemOf({ TCP: { '443': { HTTPS: true } } }, me)).toMatch(/no certificates/)
  const files: ServeConfig = { Web: { 'nas:80': { Handlers: { '/': { Path: '/etc' } } } } }
  expect(serve.problemOf(files, me)).toMatch(/files are served with your rights/)
  expect(serve.problemOf({ AllowFunnel: { 'nas:443': true } }, me)).toMatch(
    /Funnel is not built yet; nothing was opened/,
  )
})
