import { expect, test } from 'vitest'
import { Progress, sizeText } from './commands/file-progress.ts'

test('[CLI-9] the line of a stock command line: name, sent, rate, percent, time left', () => {
  const progress = new Progress('my-file.txt', 10 << 20)
  const name = 'my-file.txt'.padEnd(36)
  expect(progress.line(0, 0)).toBe(`${name}         0.00B         0.00B/s      0.00%    ETA -`)
  expect(progress.line(2 << 20, 1_000)).toBe(`${name}       2.00MiB       2.00MiB/s     20.00%    ETA 00:00:04`)
  expect(progress.line(10 << 20, 2_000)).toBe(`${name}      10.00MiB       5.00MiB/s    100.00%    ETA 00:00:00`)
})

test('[CLI-9] unknown sizes have no percent, long names end in …, empty files are done', () => {
  expect(new Progress('x'.repeat(40), undefined).line(5, 0)).toBe(`${'x'.repeat(35)}…         5.00B         0.00B/s`)
  expect(new Progress('a', 0).line(0, 0)).toMatch(/100\.00% {4}ETA 00:00:00$/)
})

test('[CLI-9] the rate is of the last seconds: who stalls sees it', () => {
  const progress = new Progress('a', 1 << 30)
  for (let s = 0; s <= 10; s++) progress.line(s << 20, s * 1_000)
  for (let s = 11; s <= 20; s++) progress.line(10 << 20, s * 1_000)
  expect(progress.line(10 << 20, 21_000)).toMatch(/ 0\.00B\/s .*ETA -$/)
})

test('[CLI-9] sizes', () => {
  expect([0, 1023, 1024, 12_939_427, 5 * 2 ** 30, 2 ** 41, 2 ** 52].map(sizeText)).toEqual([
    '0.00B',
    '1023.00B',
    '1.00KiB',
    '12.34MiB',
    '5.00GiB',
    '2.00TiB',
    '4096.00TiB',
  ])
})
