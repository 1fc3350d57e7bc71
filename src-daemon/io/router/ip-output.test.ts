import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseInterfaces, parseRoutes, parseRules } from './ip-output.ts'

test('[RT-9] only what carries our protocol number is ours', () => {
  const text = JSON.stringify([
    { dst: 'default', dev: 'pintail0', protocol: '152', flags: [] },
    { type: '7', dst: 'default', protocol: '152', metric: 60000 },
    { type: '9', dst: '10.0.0.0/8', protocol: '152' },
    { dst: '100.64.0.7', dev: 'pintail0', protocol: '152' },
    { dst: '100.64.0.8', dev: 'tailscale0', protocol: '3' },
    { type: '9', dst: '172.16.0.0/12', protocol: '3' },
  ])
  expect(parseRoutes(text, 4)).toEqual({
    ours: new Map([
      ['0.0.0.0/0', 'tunnel'],
      ['10.0.0.0/8', 'throw'],
      ['100.64.0.7/32', 'tunnel'],
    ]),
    isClosed: true,
    foreignDevices: ['tailscale0'],
    ownDevices: ['pintail0'],
  })
})

test('[RT-9] rules are read into the words that made them', () => {
  const text = JSON.stringify([
    { priority: 0, src: 'all', table: '255' },
    { priority: 5000, src: 'all', dst: '10.0.0.0', dstlen: 16, table: '254' },
    { priority: 5000, src: 'all', dst: '10.0.0.0', dstlen: 16, table: '254', protocol: '152' },
    { priority: 5000, src: 'all', dst: '10.9.9.9', table: '254', protocol: '152' },
    { priority: 5000, src: 'all', uid_start: 5, uid_end: 6, table: '254', protocol: '152' },
    { priority: 5000, src: 'all', fwmark: '0x7', table: '254', protocol: '152' },
    { priority: 5250, src: 'all', fwmark: '0x80000', fwmask: '0xff0000', action: '7', protocol: '152' },
    { priority: 5270, src: 'all', table: '52', protocol: '152' },
    { priority: 32767, src: 'all', table: '253' },
  ])
  expect(parseRules(text, 4)).toEqual({
    ours: [
      '4 pref 5000 to 10.0.0.0/16 lookup main',
      '4 pref 5000 to 10.9.9.9/32 lookup main',
      '4 pref 5000 uidrange 5-6 lookup main',
      '4 pref 5000 fwmark 0x7/0xffffffff lookup main',
      '4 pref 5250 fwmark 0x80000/0xff0000 unreachable',
      '4 pref 5270 lookup 52',
    ],
    foreignPriority: undefined,
    hasMwan3: false,
  })
  expect(parseRules('[{"priority":5270,"src":"all","table":"52"}]', 4).foreignPriority).toBe(5270)
  expect(parseRules('[{"priority":99,"src":"all","dst":"10.0.0.0","dstlen":8,"table":"52"}]', 4)).toMatchObject({
    ours: [],
    foreignPriority: undefined,
  })
})

test('hostile output: parsed or refused, and no word that was not ours gets into a batch', () => {
  const word = fc.oneof(
    fc.constantFrom(
      '152',
      152,
      'default',
      '52',
      '254',
      '9',
      '7',
      '0x80000',
      '\n',
      'x\nrule del pref 0',
      'constructor',
      '__proto__',
      null,
    ),
    fc.ipV4(),
    fc.ipV6(),
    fc.integer(),
    fc.string(),
    fc.jsonValue(),
  )
  const names = [
    'ifname',
    'flags',
    'mtu',
    'addr_info',
    'linkinfo',
    'type',
    'dst',
    'dev',
    'protocol',
    'priority',
    'table',
  ]
  const more = ['dstlen', 'uid_start', 'uid_end', 'fwmark', 'fwmask', 'action']
  const entry = fc.dictionary(fc.constantFrom(...names, ...more), word)
  fc.assert(
    fc.property(fc.array(fc.oneof(entry, word)), fc.constantFrom(4 as const, 6 as const), (list, family) => {
      const text = JSON.stringify(list)
      parseInterfaces(text)
      for (const prefix of parseRoutes(text, family).ours.keys()) expect(prefix).toMatch(/^[0-9a-f.:]+\/\d+$/)
      for (const rule of parseRules(text, family).ours) expect(rule).toMatch(/^[46] [\w ./:-]+$/)
    }),
    { numRuns: 2_000 },
  )
})

test('any text is parsed or an error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      for (const parse of [parseInterfaces, (t: string) => parseRoutes(t, 4), (t: string) => parseRules(t, 6)]) {
        try {
          parse(text)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }
    }),
  )
})
