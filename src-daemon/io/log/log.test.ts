import { expect, test } from 'vitest'
import { createLog, errorText } from './log.ts'

function collect(level: 'debug' | 'info') {
  const lines: string[] = []
  return { lines, log: createLog({ level, write: (line) => lines.push(line), wallClockMs: () => 0 }) }
}

test('a line is one JSON object with time, level, part and event', () => {
  const { lines, log } = collect('info')
  log.part('store').warn('save-failed', { code: 'ENOSPC', id: 2n ** 60n })
  expect(lines).toEqual([
    '{"time":"1970-01-01T00:00:00.000Z","level":"warn","part":"store","event":"save-failed","code":"ENOSPC","id":"1152921504606846976"}\n',
  ])
})

test('lines below the level are not written', () => {
  const { lines, log } = collect('info')
  log.debug('noise')
  expect(lines).toEqual([])
})

test('keys are masked wherever they stand, also inside an error', () => {
  const { lines, log } = collect('debug')
  const key = `privkey:${'ab'.repeat(32)}`
  log.error('x', {
    error: new Error('refused', { cause: new Error(key) }),
    auth: 'hskey-auth-abcDEF_1',
    raw: new Uint8Array(32),
  })
  expect(lines[0]).not.toContain('abab')
  expect(lines[0]).not.toContain('abcDEF')
  expect(lines[0]).toContain('privkey:[secret]')
  expect(lines[0]).toContain('[32 bytes]')
})

test('an error is told with its causes', () => {
  expect(errorText(new Error('a', { cause: new Error('b') }))).toBe('a: b')
})
