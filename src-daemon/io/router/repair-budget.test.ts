import { expect, test } from 'vitest'
import { REPAIR_BURST, REPAIR_EVERY_MS, RepairBudget } from './repair-budget.ts'

test('[RT-3] ten repairs at once, then one every five seconds', () => {
  const budget = new RepairBudget(0)
  for (let i = 0; i < REPAIR_BURST; i++) expect(budget.take(1_000)).toBe(0)
  expect(budget.take(1_000)).toBe(REPAIR_EVERY_MS - 1_000)
  expect(budget.take(REPAIR_EVERY_MS)).toBe(0)
  expect(budget.take(REPAIR_EVERY_MS)).toBe(REPAIR_EVERY_MS)
  expect(budget.take(REPAIR_EVERY_MS * 100)).toBe(0)
})
