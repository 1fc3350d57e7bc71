import { expect, test } from 'vitest'
import { checkAuthUrl } from './auth-url.ts'

test.each([
  ['https://login.tailscale.com/a/123', '', true],
  ['https://login.example.com/a', '', false],
  ['https://tailscale.com.evil.example/a', '', false],
  ['https://head.example.com/register/x', 'https://head.example.com', true],
  ['http://10.0.0.1:8080/register/x', 'http://10.0.0.1:8080', true],
  ['http://10.0.0.1:8080/register/x', 'https://10.0.0.1', false],
  ['javascript:alert(1)', 'http://10.0.0.1', false],
  ['file:///etc/passwd', 'http://10.0.0.1', false],
  ['not a url', 'http://10.0.0.1', false],
])('sign-in page %s of %s: %s', (url, control, isAllowed) => {
  expect(checkAuthUrl(url, control)).toBe(isAllowed ? url : undefined)
})
