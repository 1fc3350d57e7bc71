import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { DerpMap } from '../../../src-contract/control/map.ts'
import { captivePortal } from './captive-portal.ts'

let server: Server | undefined
afterEach(() => server?.close())

const map = (change: object = {}): DerpMap => ({
  Regions: {
    1: {
      RegionID: 1,
      RegionCode: 'r',
      RegionName: 'R',
      Nodes: [{ Name: '1a', RegionID: 1, HostName: 'relay.example', IPv4: '127.0.0.1', CanPort80: true, ...change }],
    },
  },
})
async function ask(answer: RequestListener, derpMap = map()): Promise<boolean | null> {
  server = createServer(answer)
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return captivePortal(derpMap, 1, { fwmark: 0, signal: AbortSignal.timeout(5_000), port })
}

test('[NC-2.7] the relay itself answers our challenge: no portal', async () => {
  const answer: RequestListener = (request, response) => {
    expect(request.headers).toMatchObject({ host: 'relay.example', connection: 'close' })
    expect(request.url).toMatch(/^\/generate_204\?t=\d+$/)
    response.writeHead(204, { 'X-Tailscale-Response': `response ${request.headers['x-tailscale-challenge']}` }).end()
  }
  expect(await ask(answer)).toBe(false)
})

test.each<[string, RequestListener]>([
  ['a page', (_, response) => response.end('please pay')],
  ['a way to a page', (_, response) => response.writeHead(302, { Location: 'http://portal.example/' }).end()],
  ['an empty answer that knows no challenge', (_, response) => response.writeHead(204).end()],
])('[NC-2.7] %s: a portal', async (_, answer) => expect(await ask(answer)).toBe(true))

test('[NC-2.7] nobody to ask, or nobody who answers: not determined', async () => {
  expect(await ask((request) => request.socket.destroy())).toBeNull()
  expect(await ask(() => {}, map({ CanPort80: false }))).toBeNull()
  const stopped = { fwmark: 0, signal: AbortSignal.abort() }
  expect(await captivePortal(map(), 1, stopped)).toBeNull()
})
