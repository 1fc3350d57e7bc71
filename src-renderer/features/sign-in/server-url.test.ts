import { expect, test } from 'vitest'
import { parseServerUrl } from './server-url.ts'

test.each([
  ['', ''],
  ['  hs.example.org ', 'https://hs.example.org'],
  ['hs.example.org:8443/', 'https://hs.example.org:8443'],
  ['http://10.0.0.1:8080/base', 'http://10.0.0.1:8080/base'],
  ['HTTPS://HS.Example.org', 'https://hs.example.org'],
])('%s is %s', (text, url) => {
  expect(parseServerUrl(text)).toEqual({ ok: true, url })
})

test.each(['ftp://x', 'https://', 'https://user:pass@x', 'a b', 'javascript:alert(1)', 'file:///etc'])(
  '%s is refused',
  (text) => {
    expect(parseServerUrl(text)).toEqual({ ok: false })
  },
)
