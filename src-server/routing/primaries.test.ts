import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Primaries } from './primaries.ts'

test('[SRV-R3] any sequence: one router per subnet, online if any is; it never moves without need; every change is told', () => {
  const step = fc.record({
    id: fc.integer({ min: 1, max: 4 }),
    routes: fc.uniqueArray(fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '192.168.0.0/16')),
    isOnline: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const primaries = new Primaries()
      const model = new Map<number, { routes: readonly string[]; isOnline: boolean }>()
      const owners = (): Map<string, number> => {
        const found = new Map<string, number>()
        for (const id of [1, 2, 3, 4])
          for (const route of primaries.of(id)) {
            expect(found.has(route)).toBe(false)
            found.set(route, id)
          }
        return found
      }
      for (const { id, routes, isOnline } of steps) {
        const before = owners()
        const changed = primaries.update({ id, routes, isOnline })
        model.set(id, { routes, isOnline })
        const after = owners()
        for (const route of ['10.0.0.0/8', '10.1.0.0/16', '192.168.0.0/16']) {
          const candidates = [...model].filter(([, node]) => node.routes.includes(route))
          const owner = after.get(route)
          expect(owner !== undefined).toBe(candidates.length > 0)
          if (owner !== undefined && candidates.some(([, node]) => node.isOnline))
            expect(model.get(owner)?.isOnline).toBe(true)
          const former = before.get(route)
          const keeps = former !== undefined && model.get(former)?.routes.includes(route) && model.get(former)?.isOnline
          if (keeps) expect(owner).toBe(former)
          if (owner !== former) {
            if (owner !== undefined) expect(changed).toContain(owner)
            if (former !== undefined) expect(changed).toContain(former)
          }
        }
      }
    }),
  )
})
