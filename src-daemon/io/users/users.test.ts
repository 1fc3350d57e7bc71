import { expect, test } from 'vitest'
import { parsePasswdLine, posixUserAccounts } from './posix.ts'

test('root is 0', async () => {
  expect(await posixUserAccounts().uidOf('root')).toBe(0)
})

test.each(['0', '00', '+0', 'root ', ' root', '-i', '--', 'a\n', '', 'r'.repeat(99), 'no-such-user-here'])(
  'no uid for %j',
  async (name) => {
    expect(await posixUserAccounts().uidOf(name)).toBeUndefined()
  },
)

test('an answer about somebody else does not count', () => {
  expect(parsePasswdLine('root:x:0:0:root:/root:/bin/bash\n', 'admin')).toBeUndefined()
  expect(parsePasswdLine('admin:x:1000:1000::/home/admin:/bin/sh\n', 'admin')).toBe(1000)
})
