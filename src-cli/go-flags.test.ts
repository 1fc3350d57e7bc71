import { describe, expect, test } from 'vitest'
import { plainArgs } from './go-flags.ts'
import type { Verb } from './verb.ts'

const run = async () => 0
const root: Verb = {
  name: 'p',
  summary: '',
  examples: [],
  flags: [{ name: 'socket', kind: 'text', help: '' }],
  verbs: [
    {
      name: 'up',
      summary: '',
      examples: [],
      run,
      flags: [
        { name: 'json', kind: 'bool', help: '' },
        { name: 'c', kind: 'int', help: '' },
        { name: 'timeout', kind: 'duration', help: '' },
        { name: 'auth-key', kind: 'text', secret: true, help: '' },
        { name: '1', kind: 'bool', help: '' },
      ],
    },
    { name: 'group', summary: '', examples: [], verbs: [{ name: 'list', summary: '', examples: [], run }] },
  ],
}
const parse = (line: string) => plainArgs(line === '' ? [] : line.split(' '), root)

describe('[CLI-1] Go flag syntax', () => {
  test.each([
    ['up -json', 'up --json=true --'],
    ['up --json', 'up --json=true --'],
    ['up -json=false', 'up --json=false --'],
    ['up --json false', 'up --json=true -- false'],
    ['up -c 3 host', 'up --c=3 -- host'],
    ['up --c=-3', 'up --c=-3 --'],
    ['up -timeout 1m30s', 'up --timeout=1m30s --'],
    ['up -1 nas', 'up --1=true -- nas'],
    ['up host -json', 'up -- host -json'],
    ['up -- -json', 'up -- -json'],
    ['up - x', 'up -- - x'],
    ['--socket=/a up', '--socket=/a up --'],
    ['-socket /a up -json', '--socket=/a up --json=true --'],
    ['up --authkey=k', 'up --auth-key=k --'],
    ['up --auth-key=', 'up --auth-key= --'],
    ['up --auth-key=a=b', 'up --auth-key=a=b --'],
    ['group list', 'group list --'],
  ])('%s', (line, plain) => {
    expect(parse(line)).toMatchObject({ argv: plain.split(' '), wantsHelp: false })
    expect(parse(line).problem).toBeUndefined()
  })

  test.each([
    ['up -bogus', 'flag provided but not defined: -bogus'],
    ['up --json=x', 'invalid boolean value "x" for -json: parse error'],
    ['up -c', 'flag needs an argument: -c'],
    ['up -c x', 'invalid value "x" for flag -c: parse error'],
    ['up -timeout=5', 'invalid value "5" for flag -timeout: parse error'],
    ['up --json --json', 'invalid boolean flag json: flag provided multiple times'],
    ['up -c 1 -c 2', 'invalid value "2" for flag -c: flag provided multiple times'],
    ['up --=x', 'bad flag syntax: --=x'],
    ['up ---x', 'bad flag syntax: ---x'],
    [
      'up --auth-key=tskey-1 --auth-key=tskey-2',
      'invalid value "[secret]" for flag -auth-key: flag provided multiple times',
    ],
  ])('%s is refused', (line, problem) => expect(parse(line).problem).toBe(problem))

  test('help wherever flags may stand, unknown and missing verbs', () => {
    expect(['-h', 'up --help', 'up -json -h', 'group -help'].map((line) => parse(line).wantsHelp)).toEqual(
      new Array(4).fill(true),
    )
    expect(parse('up x -h').wantsHelp).toBe(false)
    expect(() => parse('nope')).toThrow('p: unknown subcommand: nope')
    expect(() => parse('group nope')).toThrow('p group: unknown subcommand: nope')
  })

  test('keys are remembered to be masked', () => {
    expect(parse('up --auth-key=tskey-1 -bogus').secrets).toEqual(['tskey-1'])
  })

  test('garbage never throws anything but a message', () => {
    const words = ['-', '--', '---', '=', '-=', '--c', '--c=', 'up', 'group', 'list', '\0', '-\n', 'é', '--1', '-h']
    for (let seed = 0; seed < 5000; seed++) {
      const line = [0, 1, 2, 3].map((i) => words[Math.floor(seed / 7 ** i + i) % words.length] ?? '')
      try {
        plainArgs(line, root)
      } catch (error) {
        expect((error as Error).name).toBe('CommandError')
      }
    }
  })
})
