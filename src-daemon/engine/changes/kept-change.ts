/** A waiting change as the state file keeps it: JSON → typed. Pure; it is written as it is. */
import { bad, type Decoded, ok } from '../../../src-protocol/wire/decoded.ts'
import { isJsonObject } from '../../../src-protocol/wire/json.ts'
import { parseBypass } from '../bypass/setting.ts'
import { parsePrefs, prefNames } from '../prefs-parse.ts'
import { parseRoutesEdit } from '../routing/subnet-routes.ts'
import type { PrefName } from './undo.ts'
import { MAX_WITHIN_MS, type PendingChange } from './waiting.ts'

export function parsePendingChange(value: unknown): Decoded<PendingChange> {
  if (!isJsonObject(value) || !isJsonObject(value.undo)) return bad('not an object')
  const { id, startedWallMs, withinMs, undo } = value
  if (typeof id !== 'string' || !/^[0-9a-f]{16}$/.test(id)) return bad('no id')
  if (typeof startedWallMs !== 'number' || !Number.isSafeInteger(startedWallMs)) return bad('no start')
  if (typeof withinMs !== 'number' || !(withinMs >= 0 && withinMs <= MAX_WITHIN_MS)) return bad('no deadline')
  const prefs = parsePrefs(undo.prefs)
  if (!prefs.ok) return bad(prefs.message)
  const names = parseNames(undo.names)
  const left = parseNames(undo.left)
  const { routesOff: routes, bypass } = undo
  if (names === undefined || left === undefined || !isJsonObject(routes) || !isJsonObject(bypass)) return bad('no undo')
  const routesOff = parseRoutesEdit({ Off: routes.add, On: routes.remove })
  if (!routesOff.ok) return routesOff
  const add = parseBypass(bypass.add)
  const remove = parseBypass(bypass.remove)
  if (!add.ok) return add
  if (!remove.ok) return remove
  return ok({
    id,
    startedWallMs,
    withinMs,
    undo: {
      prefs: prefs.value,
      names,
      left,
      routesOff: { add: routesOff.value.Off, remove: routesOff.value.On },
      bypass: { add: add.value, remove: remove.value },
    },
  })
}

function parseNames(value: unknown): PrefName[] | undefined {
  if (!Array.isArray(value)) return undefined
  const names = prefNames.filter((name) => value.includes(name))
  return names.length === value.length ? names : undefined
}
