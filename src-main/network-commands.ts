/**
 * Routes and bypass as questions and commands to the daemon. A change that may cut something is made with a deadline;
 * the daemon takes it back unless it is confirmed. null: this daemon does not have it (a stock one, or an older one).
 */
import { isLocalApiError } from '../src-client/local-api-error.ts'
import type { LocalClient } from '../src-client/local-client.ts'
import type { ChangeView, Explained, NetworkEdit, NetworkView } from '../src-contract/app/network.ts'
import type { PrefixText } from '../src-contract/ids.ts'
import type { NetworkChange } from '../src-contract/localapi/changes.ts'
import { changeView, readBypass, readExplanation, readRoutes } from './network-replies.ts'

/** Time to look whether everything still works. */
export const CONFIRM_WITHIN_S = 30

export async function readNetwork(client: LocalClient): Promise<NetworkView> {
  const [routes, bypass, suggestions] = await Promise.all([
    orNull(client.json('GET', 'pintail/routes')),
    orNull(client.json('GET', 'pintail/bypass')),
    orNull(client.json('GET', 'pintail/bypass/suggestions')),
  ])
  return {
    routes: routes === null ? null : readRoutes(routes),
    bypass: bypass === null ? null : readBypass(bypass, suggestions),
  }
}

export async function previewEdit(client: LocalClient, edit: NetworkEdit): Promise<ChangeView | null> {
  const preview = await orNull(client.previewChange(changeOf(edit)))
  return preview === null ? null : changeView(preview, edit)
}

export async function applyEdit(
  client: LocalClient,
  edit: NetworkEdit,
  { safely }: { safely: boolean },
): Promise<void> {
  if (safely) {
    await client.applyChange({ ...changeOf(edit), ConfirmWithinSeconds: CONFIRM_WITHIN_S })
    return
  }
  switch (edit.kind) {
    case 'route':
      await client.json('PATCH', 'pintail/routes', { json: routesEdit(edit) })
      return
    case 'bypass':
      await client.json('PUT', 'pintail/bypass', { json: edit.setting })
      return
    case 'accept-routes':
      await client.editPrefs({ RouteAll: edit.on, RouteAllSet: true })
  }
}

export async function answerChange(client: LocalClient, id: string, keep: boolean): Promise<void> {
  await (keep ? client.confirmChange(id) : client.revertChange(id))
}

export async function explain(client: LocalClient, to: string): Promise<Explained | null> {
  const reply = await client.explainRoute({ to })
  return reply === undefined ? null : readExplanation(reply)
}

export function changeOf(edit: NetworkEdit): NetworkChange {
  switch (edit.kind) {
    case 'route':
      return { Routes: routesEdit(edit) }
    case 'bypass':
      return { Bypass: edit.setting }
    case 'accept-routes':
      return { Prefs: { RouteAll: edit.on, RouteAllSet: true } }
  }
}

function routesEdit({
  prefix,
  on,
}: Extract<NetworkEdit, { kind: 'route' }>): { On: PrefixText[] } | { Off: PrefixText[] } {
  return on ? { On: [prefix as PrefixText] } : { Off: [prefix as PrefixText] }
}

async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer
  } catch (error) {
    if (isLocalApiError(error) && error.code === 'not-found') return null
    throw error
  }
}
