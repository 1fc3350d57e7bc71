/**
 * Prefs that this version would store without effect, where a user would rely on the effect: refused, with the reason.
 * Each line goes when its feature comes.
 */
import type { Prefs } from '../../src-contract/localapi/prefs.ts'

export function findUnsupported(prefs: Prefs): string[] {
  const problems: string[] = []
  if (prefs.ExitNodeID !== '' || prefs.ExitNodeIP !== '' || (prefs.AutoExitNode ?? '') !== '') {
    problems.push('using an exit node is not supported by this version')
  }
  if ((prefs.AdvertiseRoutes ?? []).length > 0) {
    problems.push('advertising routes is not supported by this version')
  }
  return problems
}
