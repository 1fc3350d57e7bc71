import { describe, expect, test } from 'vitest'
import { defaultPrefs, type MaskedPrefs, type Prefs } from '../../src-contract/localapi/prefs.ts'
import { editPrefs } from './prefs-edit.ts'
import { parseMaskedPrefs, parsePrefs } from './prefs-parse.ts'

const context = { otherProfileNames: ['work'] }
const edit = (change: MaskedPrefs, current: Partial<Prefs> = {}) =>
  editPrefs({ ...defaultPrefs(), ...current }, change, context)

describe('[LA-4] edit', () => {
  test('only members with their Set bit are copied', () => {
    const result = edit({ Hostname: 'a', HostnameSet: true, ShieldsUp: true, WantRunning: true })
    expect(result).toEqual({ ok: true, changed: true, prefs: { ...defaultPrefs(), Hostname: 'a' } })
  })

  test('a Set bit without a value means the zero value', () => {
    const result = edit({ HostnameSet: true, AdvertiseTagsSet: true }, { Hostname: 'old', AdvertiseTags: ['tag:a'] })
    expect(result.ok && result.prefs).toEqual(defaultPrefs())
  })

  test('nothing new is no change', () => {
    expect(edit({ CorpDNS: true, CorpDNSSet: true })).toMatchObject({ ok: true, changed: false })
  })

  test('AutoUpdate is edited by halves', () => {
    const result = edit({ AutoUpdate: { Check: false, Apply: false }, AutoUpdateSet: { CheckSet: true } })
    expect(result.ok && result.prefs.AutoUpdate).toEqual({ Check: false, Apply: null })
  })

  test('internal members are refused', () => {
    const result = edit({ InternalExitNodePrior: 'n1', InternalExitNodePriorSet: true } as MaskedPrefs)
    expect(result).toEqual({ ok: false, message: "can't set Internal fields" })
  })

  test('exit node edits keep their companions in step', () => {
    const before = { ExitNodeID: 'auto:any', AutoExitNode: 'any', InternalExitNodePrior: 'n9' }
    expect(edit({ ExitNodeID: '', ExitNodeIDSet: true }, before)).toMatchObject({
      prefs: { ExitNodeID: '', InternalExitNodePrior: '' },
    })
    expect(edit({ AutoExitNode: '', AutoExitNodeSet: true }, before)).toMatchObject({ prefs: { ExitNodeID: '' } })
    const picked = edit({ ExitNodeID: 'n1', ExitNodeIDSet: true }, before)
    expect(picked.ok && picked.prefs.AutoExitNode).toBeUndefined()
  })

  const refusals: [MaskedPrefs, string][] = [
    [{ ProfileName: 'work', ProfileNameSet: true }, 'profile name "work" already in use'],
    [
      { AdvertiseRoutes: ['10.0.0.1/8'], AdvertiseRoutesSet: true },
      'route 10.0.0.1/8 has non-address bits set; expected 10.0.0.0/8',
    ],
    [{ AdvertiseRoutes: ['x'], AdvertiseRoutesSet: true }, 'route x is not a prefix'],
    [
      { AdvertiseRoutes: ['0.0.0.0/0', '::/0'], AdvertiseRoutesSet: true, ExitNodeID: 'n1', ExitNodeIDSet: true },
      'Cannot advertise an exit node and use an exit node at the same time.',
    ],
    [{ ControlURL: 'file:///etc', ControlURLSet: true }, 'the login server must be an https or http URL'],
    [{ ControlURL: 'nonsense', ControlURLSet: true }, 'the login server "nonsense" is not a URL'],
  ]
  test.each(refusals)('refused: %j', (change, message) => {
    expect(edit(change)).toEqual({ ok: false, message })
  })
})

describe('reading prefs', () => {
  test('unknown members are dropped, missing ones have their default', () => {
    expect(parsePrefs({ Hostname: 'a', AllowSingleHosts: true, Config: { PrivateNodeKey: 'x' } })).toEqual({
      ok: true,
      value: { ...defaultPrefs(), Hostname: 'a' },
    })
  })

  test('a wrong type is named', () => {
    expect(parsePrefs({ CorpDNS: 'yes' })).toEqual({ ok: false, message: 'CorpDNS has the wrong type' })
    expect(parseMaskedPrefs({ HostnameSet: 1 })).toEqual({ ok: false, message: 'HostnameSet must be true or false' })
    expect(parseMaskedPrefs([])).toEqual({ ok: false, message: 'prefs must be a JSON object' })
  })

  test('a __proto__ member changes nothing', () => {
    const parsed = parsePrefs(JSON.parse('{"__proto__":{"OperatorUser":"mallory"},"Hostname":"a"}'))
    expect(parsed.ok && parsed.value.OperatorUser).toBeUndefined()
  })
})
