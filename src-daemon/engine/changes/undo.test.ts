import { describe, expect, test } from 'vitest'
import { type BypassSetting, emptyBypass } from '../../../src-contract/localapi/bypass.ts'
import { defaultPrefs, type MaskedPrefs, type Prefs } from '../../../src-contract/localapi/prefs.ts'
import {
  afterOtherEdit,
  applyChange,
  isEmptyUndo,
  revertChange,
  type Settings,
  type Undo,
  type WantedChange,
  whatIs,
} from './undo.ts'

const context = { otherProfileNames: ['home'] }
const plain: Settings = { prefs: defaultPrefs(), bypass: emptyBypass, routesOff: [] }
const bypassOf = (...Prefixes: string[]): BypassSetting => ({ ...emptyBypass, Prefixes })

function applied(now: Settings, change: WantedChange): { next: Settings; undo: Undo } {
  const result = applyChange(now, change, context)
  if (!result.ok) throw new Error(result.message)
  return result
}

function reverted(now: Settings, undo: Undo): Settings {
  const result = revertChange(now, undo, context)
  if (!result.ok) throw new Error(result.message)
  return result.next
}

describe('[CHG-1] making', () => {
  test('what is so already is no change', () => {
    const { next, undo } = applied(plain, {
      prefs: { RouteAll: false, RouteAllSet: true },
      bypass: structuredClone(emptyBypass),
      routes: { Off: [], On: ['10.0.0.0/8'] },
    })
    expect([isEmptyUndo(undo), whatIs(undo), next]).toEqual([true, [], plain])
    expect(next.bypass).toBe(plain.bypass) // the same object: nobody looks around again
  })

  test('one bad part refuses all', () => {
    const change = { prefs: { ProfileName: 'home', ProfileNameSet: true }, bypass: bypassOf('10.0.0.0/8') }
    expect(applyChange(plain, change, context)).toMatchObject({ ok: false })
    const many = { Off: Array.from({ length: 1_001 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`), On: [] }
    expect(applyChange(plain, { routes: many }, context)).toMatchObject({ ok: false })
  })
})

describe('[CHG-4] taking back', () => {
  const exit = { ExitNodeIP: '100.64.0.3', ExitNodeIPSet: true, ExitNodeIDSet: true }

  test('an exit node that the daemon resolved meanwhile is still the change’s', () => {
    const { next, undo } = applied(plain, { prefs: exit })
    const resolved = { ...next, prefs: { ...next.prefs, ExitNodeID: 'n3', ExitNodeIP: '' } }
    expect(reverted(resolved, undo)).toEqual(plain)
  })

  test('an optional preference that was absent is absent again', () => {
    const { next, undo } = applied(plain, {
      prefs: { ExitNodeID: 'auto:any', ExitNodeIDSet: true, AutoExitNode: 'any', AutoExitNodeSet: true },
    })
    expect(next.prefs.AutoExitNode).toBe('any')
    expect(Object.hasOwn(reverted(next, undo).prefs, 'AutoExitNode')).toBe(false)
  })

  test('what somebody else changed since stays, and only that', () => {
    const { next, undo } = applied(plain, { prefs: { ...exit, RouteAll: true, RouteAllSet: true } })
    const theirs: Prefs = { ...next.prefs, ExitNodeID: 'n9', ExitNodeIP: '', Hostname: 'mine' }
    const less = afterOtherEdit(undo, next.prefs, theirs)
    const result = revertChange({ ...next, prefs: theirs }, less, context)
    expect(result).toMatchObject({ ok: true, left: ['exit node'] })
    expect(result.ok && result.next.prefs).toEqual({ ...theirs, RouteAll: false })
    expect(whatIs(less)).toEqual(['accepted routes', 'exit node'])
  })

  test('somebody else’s edit of other things takes nothing away', () => {
    const { next, undo } = applied(plain, { prefs: exit })
    expect(afterOtherEdit(undo, next.prefs, { ...next.prefs, Hostname: 'x' })).toBe(undo)
  })

  test('entries of lists come and go one by one', () => {
    const before = { ...plain, bypass: bypassOf('10.1.0.0/16', '10.2.0.0/16'), routesOff: ['192.168.1.0/24'] }
    const { next, undo } = applied(before, {
      bypass: bypassOf('10.2.0.0/16', '10.3.0.0/16'),
      routes: { Off: ['192.168.2.0/24'], On: ['192.168.1.0/24'] },
    })
    const meanwhile = {
      ...next,
      bypass: bypassOf('10.3.0.0/16', '10.4.0.0/16'),
      routesOff: ['192.168.2.0/24', '192.168.9.0/24'],
    }
    expect(reverted(meanwhile, undo)).toMatchObject({
      bypass: { Prefixes: ['10.1.0.0/16', '10.4.0.0/16'] },
      routesOff: ['192.168.1.0/24', '192.168.9.0/24'],
    })
  })

  test('a list that is full meanwhile stays as it is, and is named', () => {
    const { undo } = applied({ ...plain, bypass: bypassOf('10.1.0.0/16') }, { bypass: emptyBypass })
    const full = bypassOf(...Array.from({ length: 200 }, (_, i) => `10.9.${i}.0/24`))
    expect(revertChange({ ...plain, bypass: full }, undo, context)).toMatchObject({
      left: ['bypass'],
      next: { bypass: full },
    })
  })

  test('what no longer fits is refused; what was wrong before is no reason', () => {
    const offers = ['0.0.0.0/0', '::/0']
    const { next, undo } = applied(
      { ...plain, prefs: { ...plain.prefs, ExitNodeID: 'n3' } },
      { prefs: { ExitNodeIDSet: true } },
    )
    const offering = { ...next, prefs: { ...next.prefs, AdvertiseRoutes: offers } }
    expect(revertChange(offering, undo, context)).toMatchObject({ ok: false })
    const odd = { ...plain, prefs: { ...plain.prefs, ProfileName: 'home' } }
    const { undo: other } = applied(plain, { prefs: { RouteAll: true, RouteAllSet: true } })
    expect(revertChange(odd, other, context)).toMatchObject({ ok: true })
  })

  test('whatever was changed, all of it is as before', () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    let state = seed
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      return (state >> 8) % below
    }
    const some = (all: readonly string[]): string[] => all.filter(() => random(2) === 0)
    const nets = ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', '2001:db8::/32']
    const bypass = (): BypassSetting => ({
      ...bypassOf(...some(nets)),
      Users: some(['ada', 'bob']),
      Suffixes: some(['a.example']),
    })
    const edit = (): MaskedPrefs => ({
      ...(random(2) ? { ExitNodeID: ['', 'n1', 'auto:any'][random(3)]!, ExitNodeIDSet: true } : {}),
      ...(random(2) ? { ExitNodeIP: '100.64.0.9', ExitNodeIPSet: true } : {}),
      ...(random(3) ? {} : { AutoExitNode: some(['any']).join(''), AutoExitNodeSet: true }),
      ...(random(2) ? { WantRunning: random(2) === 0, WantRunningSet: true } : {}),
      ...(random(2) ? { AdvertiseRoutes: random(4) ? some(nets) : null, AdvertiseRoutesSet: true } : {}),
      ...(random(2) ? { NoStatefulFiltering: random(2) === 0, NoStatefulFilteringSet: true } : {}),
      ...(random(2) ? { RelayServerPort: random(2) ? 7 : null, RelayServerPortSet: true } : {}),
      ...(random(2) ? { AutoUpdate: { Check: random(2) === 0, Apply: null }, AutoUpdateSet: { CheckSet: true } } : {}),
    })
    for (let i = 0; i < 500; i++) {
      const start = applied({ ...plain, bypass: bypass(), routesOff: some(nets).sort() }, { prefs: edit() }).next
      const { next, undo } = applied(start, {
        prefs: edit(),
        bypass: bypass(),
        routes: { Off: some(nets), On: some(nets) },
      })
      const back = reverted(next, JSON.parse(JSON.stringify(undo)) as Undo)
      expect(back, `seed ${seed}, round ${i}`).toEqual(start)
    }
  })
})
