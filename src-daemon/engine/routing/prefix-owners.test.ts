import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PrefixOwners } from './prefix-owners.ts'

const claims = (entries: { [id: string]: string[] }) => new Map(Object.entries(entries))

test('nobody gets our address, and the first of two claimants keeps the other until it lets go', () => {
  const owners = new PrefixOwners()
  owners.setSelf(['100.64.0.9'])
  owners.update(claims({ 1: ['100.64.0.1/32', '100.64.0.9/32'], 2: ['100.64.0.1/32', '100.64.0.2/32'] }))
  expect(owners.granted('1')).toEqual(['100.64.0.1/32'])
  expect(owners.granted('2')).toEqual(['100.64.0.2/32'])
  expect(owners.update(new Map(), ['1'])).toEqual(new Set(['1', '2']))
  expect(owners.granted('1')).toEqual([])
  expect(owners.granted('2')).toEqual(['100.64.0.1/32', '100.64.0.2/32'])
  expect(owners.all.sort()).toEqual(['100.64.0.1/32', '100.64.0.2/32'])
})

test('a subnet that moves in one change finds its new router, whichever is named first', () => {
  for (const order of [
    ['1', '2'],
    ['2', '1'],
  ]) {
    const owners = new PrefixOwners()
    owners.update(claims({ 1: ['10.0.0.0/8'], 2: [] }))
    const move: { [id: string]: string[] } = { 1: [], 2: ['10.0.0.0/8'] }
    owners.update(new Map(order.map((id) => [id, move[id]!])))
    expect(owners.granted('1')).toEqual([])
    expect(owners.granted('2')).toEqual(['10.0.0.0/8'])
  }
})

test('any sequence: one owner per claimed prefix, who claims it; an owner keeps it while it claims it; the answer names every change', () => {
  const ids = ['a', 'b', 'c', 'd']
  const prefixes = ['10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0', '100.64.0.1/32']
  const step = fc.record({
    claims: fc.dictionary(fc.constantFrom(...ids), fc.uniqueArray(fc.constantFrom(...prefixes))),
    gone: fc.uniqueArray(fc.constantFrom(...ids)),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const owners = new PrefixOwners()
      const model = new Map<string, readonly string[]>()
      let before = new Map<string, string>()
      for (const { claims, gone } of steps) {
        const leaves = gone.filter((id) => !Object.hasOwn(claims, id))
        const grants = new Map(ids.map((id) => [id, owners.granted(id).sort().join()]))
        const changed = owners.update(new Map(Object.entries(claims)), leaves)
        for (const id of leaves) model.delete(id)
        for (const [id, wanted] of Object.entries(claims)) model.set(id, wanted)
        const after = new Map<string, string>()
        for (const id of ids) {
          if (owners.granted(id).sort().join() !== grants.get(id)) expect(changed).toContain(id)
          for (const prefix of owners.granted(id)) {
            expect(after.has(prefix)).toBe(false)
            expect(model.get(id)).toContain(prefix)
            after.set(prefix, id)
          }
        }
        for (const prefix of prefixes) {
          const claimants = ids.filter((id) => model.get(id)?.includes(prefix) === true)
          expect(after.has(prefix)).toBe(claimants.length > 0)
          const owner = before.get(prefix)
          if (owner !== undefined && claimants.includes(owner)) expect(after.get(prefix)).toBe(owner)
        }
        before = after
      }
    }),
  )
})
