import { expect, test } from 'vitest'
import type { ServeConfig } from '../src-contract/localapi/serve.ts'
import { readHandler, readTarget, withoutServed, withServed } from './serve-edit.ts'

const host = 'nas.example.net'
const site = (mount: string, kind: 'http' | 'https' = 'http') =>
  ({ kind, port: 80, host, mount, handler: { Text: mount } }) as const

test('[SVE-11.4] a mount is added, replaced in either spelling, and removed; the last one takes its port along', () => {
  let config = withServed({}, site('/'))
  config = withServed(config, site('/docs'))
  config = withServed(config, site('/docs/'))
  expect(config).toEqual({
    TCP: { '80': { HTTP: true } },
    Web: { [`${host}:80`]: { Handlers: { '/': { Text: '/' }, '/docs/': { Text: '/docs/' } } } },
  })
  const place = { kind: 'http', port: 80, host } as const
  config = withoutServed(config, place, '/docs')
  expect(() => withoutServed(config, place, '/docs')).toThrow('nothing is served at /docs on port 80')
  expect(withoutServed(config, place, '/')).toEqual({ TCP: {}, Web: {} })
  expect(withoutServed(config, place, undefined)).toEqual({ TCP: {}, Web: {} })
  expect(() => withoutServed({}, place, undefined)).toThrow('nothing is served on port 80')
})

test('[SVE-11.5] another kind on the same port is refused with the command that makes room', () => {
  const config: ServeConfig = withServed({}, { kind: 'tcp', port: 80, host, to: '127.0.0.1:22', proxyProtocol: 2 })
  expect(config.TCP).toEqual({ '80': { TCPForward: '127.0.0.1:22', ProxyProtocol: 2 } })
  expect(() => withServed(config, site('/'))).toThrow('pintail serve --tcp=80 off')
  expect(() => withoutServed(config, { kind: 'http', port: 80, host }, undefined)).toThrow('serves tcp, not http')
})

test('[SVE-11.6] what is to be served, as people write it', async () => {
  const isFolder = async (path: string) => (path === '/missing' ? undefined : path === '/srv')
  const read = async (text: string) => (await readHandler(text, isFolder)).handler
  expect(await read('3000')).toEqual({ Proxy: 'http://127.0.0.1:3000' })
  expect(await read('localhost:3000/x')).toEqual({ Proxy: 'http://localhost:3000/x' })
  expect(await read('https+insecure://10.0.0.1')).toEqual({ Proxy: 'https+insecure://10.0.0.1' })
  expect(await read('unix:/run/a.sock')).toEqual({ Proxy: 'unix:/run/a.sock' })
  expect(await read('text:hi: there')).toEqual({ Text: 'hi: there' })
  expect(await readHandler('/srv', isFolder)).toEqual({ handler: { Path: '/srv' }, isFolder: true })
  expect(readTarget('tcp://db:5432', ['tcp'])).toBe('tcp://db:5432')
  for (const text of ['/missing', 'text:', '0', '70000', 'example.com', 'example.com:80', 'ftp://x', 'unix:a', ''])
    await expect(read(text), text).rejects.toThrow()
})
