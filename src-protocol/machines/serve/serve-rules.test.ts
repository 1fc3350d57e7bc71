import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ServeConfig } from '../../../src-contract/localapi/serve.ts'
import { problemOfChange } from './change.ts'
import { parseRedirect, parseServeConfig } from './config.ts'
import { connectionNames, encodeWords, identityHeaders, passesOn } from './identity-headers.ts'
import { parseForward, parseProxyTarget } from './proxy-target.ts'
import { findMount, parseRequestTarget } from './request-target.ts'

const site: ServeConfig = {
  TCP: { '443': { HTTPS: true }, '5432': { TCPForward: '127.0.0.1:5432', TerminateTLS: 'nas.example.net' } },
  Web: { 'nas.example.net:443': { Handlers: { '/': { Proxy: '3000' }, '/hi': { Text: 'hello' } } } },
  AllowFunnel: { 'nas.example.net:443': true },
}

describe('configs', () => {
  test('[SVE-1.1] what is right stays as it is; what is empty is left out', () => {
    expect(parseServeConfig(site)).toEqual({ ok: true, value: site })
    expect(parseServeConfig({ TCP: {}, Web: null, Foreground: {} })).toEqual({ ok: true, value: {} })
    const session = { Foreground: { a1: { TCP: { '80': { HTTP: true } } } } }
    expect(parseServeConfig(session)).toEqual({ ok: true, value: session })
  })

  test.each<[unknown, RegExp]>([
    [[], /no object/],
    [{ Tcp: {} }, /"Tcp", which this daemon does not know/],
    [{ TCP: { '0': { HTTP: true } } }, /"0", which is no such key/],
    [{ TCP: { '65536': { HTTP: true } } }, /no such key/],
    [{ TCP: { '80': { HTTP: true, HTTPS: true } } }, /exactly one of HTTPS, HTTP and TCPForward/],
    [{ TCP: { '80': {} } }, /exactly one/],
    [{ TCP: { '80': { HTTP: true, ProxyProtocol: 1 } } }, /go with TCPForward/],
    [{ TCP: { '80': { TCPForward: 'localhost' } } }, /address with a port/],
    [{ TCP: { '80': { TCPForward: 'localhost:1', ProxyProtocol: 3 } } }, /is 1 or 2/],
    [{ Web: { 'nas:80': { Handlers: { '/a/../b': { Text: 'x' } } } } }, /no such key/],
    [{ Web: { 'nas:80': { Handlers: { a: { Text: 'x' } } } } }, /no such key/],
    [{ Web: { 'nas:80': { Handlers: { '/': { Text: 'x', Proxy: '1' } } } } }, /exactly one of Path/],
    [{ Web: { 'nas:80': { Handlers: { '/': { Proxy: 'ftp://x' } } } } }, /proxies speak/],
    [{ Web: { 'nas:80': { Handlers: { '/': { Path: 'etc' } } } } }, /no full path/],
    [{ Web: { nas: { Handlers: {} } } }, /no such key/],
    [{ Services: { 'svc:db': { Tun: true, TCP: { '1': { HTTP: true } } } } }, /leaves nothing/],
    [{ Foreground: { a: { Foreground: { b: {} } } } }, /no Foreground of its own/],
    [{ TCP: Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [i + 1, { HTTP: true }])) }, /more than/],
    [{ __proto__: null, TCP: JSON.parse('{"__proto__":{"HTTP":true}}') }, /no such key/],
  ])('[SVE-1.2] %j is refused in words', (value, reason) => {
    const read = parseServeConfig(value)
    expect(read.ok ? 'taken' : read.reason).toMatch(reason)
  })

  test('[SVE-1.3] whatever is sent, an answer comes, and what was taken is taken again', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const read = parseServeConfig(value)
        if (read.ok) expect(parseServeConfig(read.value)).toEqual(read)
      }),
    )
  })

  test.each([
    ['3000', 'http', '127.0.0.1', 3000, ''],
    ['localhost:3000/api/', 'http', 'localhost', 3000, '/api'],
    ['http://127.0.0.1', 'http', '127.0.0.1', 80, ''],
    ['https+insecure://[::1]:8443/x', 'https', '::1', 8443, '/x'],
  ])('[SVE-2.1] %s is a place for a proxy', (text, scheme, host, port, prefix) => {
    expect(parseProxyTarget(text)).toMatchObject({ ok: true, value: { scheme, host, port, prefix } })
  })

  test.each([
    'example.com:80',
    '3000/x/..:1',
    'http://',
    'http://a:99999',
    'http://u:p@h',
    'http://h/?q',
    'unix:a',
    'javascript://1',
  ])('[SVE-2.2] %s is none', (text) => {
    expect(parseProxyTarget(text).ok).toBe(false)
  })

  test('[SVE-2.3] forwarders and redirects', () => {
    expect(parseForward('[::1]:22')).toEqual({ ok: true, value: { host: '::1', port: 22 } })
    expect(parseForward('unix:/run/x.sock')).toEqual({ ok: true, value: { socketPath: '/run/x.sock' } })
    expect(parseRedirect(`301:https://a.example/$\{REQUEST_URI}`)).toMatchObject({ value: { status: 301 } })
    expect(parseRedirect('/new')).toEqual({ ok: true, value: { status: 302, location: '/new' } })
    for (const text of ['javascript:1', '200:/x', 'https://a b', '//x\r\nSet-Cookie: a'])
      expect(parseRedirect(text).ok, text).toBe(false)
  })
})

describe('changes', () => {
  const facts = { shieldsUp: false }
  const http = { HTTP: true } as const

  test('[SVE-3.1] shields up and open to the internet exclude each other', () => {
    expect(problemOfChange({}, site, { shieldsUp: true })).toMatch(/shields-up/)
    expect(problemOfChange({}, site, facts)).toBe(undefined)
  })

  test('[SVE-3.2] a port has one owner', () => {
    const background = { TCP: { '80': http } }
    const session = { Foreground: { s: { TCP: { '80': http } } } }
    expect(problemOfChange(background, { ...background, ...session }, facts)).toMatch(/in use/)
    expect(problemOfChange(session, { ...background, ...session }, facts)).toMatch(/foreground/)
    const two = { Foreground: { ...session.Foreground, t: { TCP: { '80': http } } } }
    expect(problemOfChange(session, two, facts)).toMatch(/in use/)
  })

  test('[SVE-3.3] a port does not change its kind in place, and a service not between tun and handlers', () => {
    const https = { TCP: { '80': { HTTPS: true } } }
    expect(problemOfChange({ TCP: { '80': http } }, https, facts)).toMatch(/serves http at present/)
    const tun = { Services: { 'svc:a': { Tun: true } } }
    expect(problemOfChange(tun, { Services: { 'svc:a': { TCP: { '80': http } } } }, facts)).toMatch(/takes everything/)
  })
})

describe('what is asked for', () => {
  const handlers = Object.fromEntries(
    ['/', '/api', '/api/', '/docs/', '/a/b'].map((mount) => [mount, { Text: mount }] as const),
  )
  const found = (path: string, table = handlers) => {
    const target = parseRequestTarget(path)
    if (!target.ok) return target.reason
    const mounted = findMount(table, target.value)
    return mounted === undefined ? undefined : [mounted.mount, mounted.rest]
  }

  test.each([
    ['/', '/', '/'],
    ['/x/y?z=1', '/', '/x/y'],
    ['/api', '/api', '/'],
    ['/api/', '/api/', '/'],
    ['/api/x', '/api/', '/x'],
    ['/docs', '/docs/', '/'],
    ['/docs/a%20b/', '/docs/', '/a%20b/'],
    ['//docs//x', '/docs/', '/x'],
    ['/%64ocs/x', '/docs/', '/x'],
    ['/a/bc', '/', '/a/bc'],
    ['/a/b/c', '/a/b', '/c'],
    ['/docs%2Fx', '/', '/docs%2Fx'],
  ])('[SVE-4.1] %s is at %s', (path, mount, rest) => {
    expect(found(path)).toEqual([mount, rest])
  })

  test.each([
    '/api/../x',
    '/api/%2e%2e/x',
    '/%2e',
    '/api/..%2f..%2fx',
    '/a%00',
    '/a%zz',
    '/%ff',
    '/..;/x',
    'http://x/',
    '*',
    '/a b',
    '/a#b',
    '/..%5cx',
  ])('[SVE-4.2] %s is refused: it may mean something else to whom it is for', (path) => {
    expect(typeof found(path)).toBe('string')
  })

  test('[SVE-4.3] nothing is mounted, nothing is found; names of objects are no mounts', () => {
    expect(found('/x', {})).toBe(undefined)
    expect(found('/constructor', { '/y': { Text: '' } })).toBe(undefined)
  })

  test('[SVE-4.4] what a proxied program is asked for lies below the mount, however it is written', () => {
    const part = fc.constantFrom(
      '.',
      '..',
      '%2e',
      '%2E%2e',
      '/',
      '//',
      'a',
      'api',
      '%61pi',
      '%2f',
      '%5c',
      ';',
      '?',
      '..;a',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const answer = found(`/${parts.join('')}`, { '/api/': { Text: '' } })
        if (!Array.isArray(answer)) return
        const url = new URL(`http://h/api${answer[1]}`)
        expect(url.pathname.startsWith('/api/')).toBe(true)
      }),
    )
  })
})

describe('who asks', () => {
  test('[SVE-5.1] nobody sends our headers, in no spelling; nothing of one hop goes to the next', () => {
    const own = [
      'Tailscale-User-Login',
      'tailscale_user_login',
      'TAILSCALE-app_capabilities',
      'X-Forwarded-For',
      'Forwarded',
    ]
    const hop = ['Connection', 'TE', 'Transfer-Encoding', ':path', 'X-Named']
    const named = connectionNames('close, x-named')
    for (const name of [...own, ...hop]) expect(passesOn(name, named), name).toBe(false)
    for (const name of ['Cookie', 'Content-Type', 'Content-Length']) expect(passesOn(name, named), name).toBe(true)
  })

  test('[SVE-5.2] names beyond ASCII are encoded words of at most 75 characters', () => {
    expect(encodeWords('Ann')).toBe('Ann')
    expect(encodeWords('Åsa = ?_')).toBe('=?utf-8?q?=C3=85sa_=3D_=3F=5F?=')
    const long = encodeWords('é'.repeat(40))
    expect(long.split(' ').every((word) => word.length <= 75 && word.startsWith('=?utf-8?q?'))).toBe(true)
    expect(long.replace(/\?= =\?utf-8\?q\?/g, '')).toBe(`=?utf-8?q?${'=C3=A9'.repeat(40)}?=`)
    expect(encodeWords('a\r\nX: b')).not.toMatch(/[\r\n]/)
  })

  test('[SVE-5.3] tagged machines are nobody', () => {
    expect(identityHeaders(undefined)).toEqual([])
    const caller = { loginName: 'ann@example.net', displayName: 'Ann', profilePicUrl: '' }
    expect(identityHeaders(caller).map(([name]) => name)).toEqual([
      'Tailscale-User-Login',
      'Tailscale-User-Name',
      'Tailscale-Headers-Info',
    ])
  })
})
