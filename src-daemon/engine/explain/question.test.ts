import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseQuestion } from './question.ts'

const plain = { from: '', uid: 0, proto: '', port: '' }

describe('[EXP-1] a question', () => {
  test.each([
    ['10.0.1.100', 'address', '10.0.1.100'],
    ['[fd7a:115c:a1e0::53]', 'address', 'fd7a:115c:a1e0::53'],
    ['::ffff:10.0.0.1', 'address', '10.0.0.1'],
    ['10.0.7.7/16', 'network', '10.0.0.0/16'],
    ['10.0.7.7/32', 'address', '10.0.7.7'],
    ['::/0', 'network', '::/0'],
    ['Nas', 'name', 'nas'],
    ['git.corp.example.', 'name', 'git.corp.example'],
  ])('%s is %s %s', (to, Kind, To) => {
    expect(parseQuestion({ ...plain, to })).toMatchObject({ ok: true, value: { Kind, To } })
  })
  test.each([
    [{ to: '' }, 'is not an address, a network or a name'],
    [{ to: '10.0.0' }, 'is not an address'],
    [{ to: '10.0.0.1:80' }, 'is not an address'],
    [{ to: '-x; rm' }, 'is not an address'],
    [{ from: 'nas' }, '"nas" is not an address such as'],
    [{ uid: Number.NaN }, 'is not the number of a user'],
    [{ uid: -1 }, 'is not the number of a user'],
    [{ proto: 'constructor' }, 'is not tcp, udp or icmp'],
    [{ port: '0' }, 'is not a port'],
    [{ port: '65536' }, 'is not a port'],
    [{ port: '22; reboot' }, 'is not a port'],
    [{ proto: 'icmp', port: '22' }, 'icmp has no ports'],
  ])('%j is refused in words', (wrong, words) => {
    const read = parseQuestion({ ...plain, to: '10.0.0.1', ...wrong })
    expect(read.ok ? '' : read.reason).toContain(words)
  })
  test('a port means TCP unless said otherwise', () => {
    expect(parseQuestion({ ...plain, to: 'nas', port: '22' })).toMatchObject({ value: { Proto: 'tcp', Port: 22 } })
  })
  test('whatever is accepted can be asked again, and has no blanks or dashes in front for a program to stumble on', () => {
    fc.assert(
      fc.property(fc.string(), (to) => {
        const read = parseQuestion({ ...plain, to })
        if (!read.ok) return
        expect(parseQuestion({ ...plain, to: read.value.To })).toEqual(read)
        if (read.value.Kind !== 'name') expect(read.value.To).toMatch(/^[0-9a-f:.]+(\/\d+)?$/)
      }),
    )
  })
})
