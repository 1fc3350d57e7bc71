import { describe, expect, test } from 'vitest'
import { defaultPrefs } from '../src-contract/localapi/prefs.ts'
import { parsePing, parsePrefs, parseStatus } from './parse-reply.ts'

const codeOf = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'fine'
}

describe('replies made whole', () => {
  test('missing members are zero, unknown ones pass, the order stays', () => {
    const status = parseStatus({
      Future: 1,
      BackendState: 'Running',
      Self: { NodeID: 2n ** 60n },
      Peer: { k: { Tags: ['tag:a'], DNSName: 'x.' } },
    })
    expect(Object.keys(status).slice(0, 4)).toEqual(['Future', 'BackendState', 'Self', 'Peer'])
    expect([status.Version, status.Self.DNSName, status.Self.NodeID]).toEqual(['', '', 2n ** 60n])
    expect(status.Peer?.k).toMatchObject({ Tags: ['tag:a'], DNSName: 'x.', CurAddr: '', RxBytes: 0, Online: false })
    expect(parseStatus({}).Peer).toBeNull()
  })

  test('prefs and pings too', () => {
    expect(parsePrefs({ Hostname: 'a' })).toMatchObject({ Hostname: 'a', ControlURL: '', AutoUpdate: {}, Config: null })
    expect(parsePrefs(defaultPrefs())).toEqual(defaultPrefs())
    expect(parsePing({ Err: 'x' })).toMatchObject({ Err: 'x', Endpoint: '', DERPRegionID: 0 })
  })

  test.each([
    [null],
    [[]],
    ['x'],
    [{ BackendState: 6 }],
    [{ TailscaleIPs: 'x' }],
    [{ TailscaleIPs: [1] }],
    [{ Self: 'x' }],
    [{ Peer: [] }],
    [{ Peer: { k: null } }],
    [{ Peer: { k: { DNSName: null } } }],
    [{ Peer: { k: { Online: 'yes' } } }],
    [{ Peer: { k: { AllowedIPs: {} } } }],
    [{ User: 'x' }],
  ])('wrong shape: %j', (value) => expect(codeOf(() => parseStatus(value))).toBe('bad-reply'))

  test('random values in any place never throw anything else', () => {
    const odd = [null, 0, 1n, '', 'x', [], {}, [null], { a: 1 }, true, Number.NaN]
    const names = Object.keys(parseStatus({ Self: {} }))
    for (const name of names)
      for (const value of odd) expect(['fine', 'bad-reply']).toContain(codeOf(() => parseStatus({ [name]: value })))
    for (const name of Object.keys(defaultPrefs()))
      for (const value of odd) expect(['fine', 'bad-reply']).toContain(codeOf(() => parsePrefs({ [name]: value })))
  })
})
