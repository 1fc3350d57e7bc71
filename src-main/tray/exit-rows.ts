/** The tray's rows for exit nodes: the last one with one click, the submenu with the few that matter. Pure. `ux.md` 2.2. */
import type { AppState } from '../../src-contract/app/app-state.ts'
import type { ExitNode, ExitState } from '../../src-contract/app/exit.ts'
import type { Words } from '../words.ts'
import { menuText, type TrayRow } from './tray-menu.ts'

const MAX_NODE_ROWS = 6

export function exitRows(state: AppState, words: Words): TrayRow[] {
  const { exit, exitNodes } = state
  if (exitNodes.length === 0 && exit.now.kind === 'off') return []
  return [
    ...oneClick(exit, words),
    { kind: 'row', label: words.t('exit.title'), submenu: submenu(exit, exitNodes, words) },
    { kind: 'separator' },
  ]
}

function oneClick({ now, last }: ExitState, { t }: Words): TrayRow[] {
  if (now.kind !== 'off') {
    const label = now.name === '' ? t('exit.stop') : t('exit.stopNamed', { name: menuText(now.name) })
    return [{ kind: 'row', label, action: { kind: 'use-exit', choice: { kind: 'off' } } }]
  }
  if (last.kind === 'none') return []
  const name = last.kind === 'auto' ? t('exit.automatic') : menuText(last.name)
  return [{ kind: 'row', label: t('exit.useNamed', { name }), action: { kind: 'use-exit', choice: { kind: 'last' } } }]
}

function submenu(exit: ExitState, nodes: readonly ExitNode[], words: Words): TrayRow[] {
  const { t } = words
  const { now, takesOver, suggestedId, allowLan } = exit
  const inUse = now.kind === 'off' ? undefined : now.id
  const radio = (label: string, isOn: boolean, action?: Extract<TrayRow, { kind: 'row' }>['action']): TrayRow => ({
    kind: 'row',
    label,
    mark: { type: 'radio', isOn },
    ...(action === undefined ? {} : { action }),
  })
  const isAutomatic = now.kind !== 'off' && takesOver && now.id === ''
  return [
    radio(t('exit.off'), now.kind === 'off', { kind: 'use-exit', choice: { kind: 'off' } }),
    ...(isAutomatic ? [radio(t('exit.automatic'), true, { kind: 'use-exit', choice: { kind: 'auto' } })] : []),
    ...shownNodes(exit, nodes, words).map((node) => {
      const name = menuText(node.place?.city || node.name)
      const label =
        node.state !== 'online'
          ? t('tray.offlineDevice', { name })
          : node.id === suggestedId
            ? t('exit.suggestedNamed', { name })
            : name
      // The one in use stays clickable: an unreachable one must not look like somebody else's choice.
      const canUse = node.state === 'online'
      return radio(
        label,
        node.id === inUse,
        canUse ? { kind: 'use-exit', choice: { kind: 'node', id: node.id } } : undefined,
      )
    }),
    { kind: 'separator' },
    {
      kind: 'row',
      label: t('exit.allowLan'),
      mark: { type: 'check', isOn: allowLan },
      action: { kind: 'allow-lan', on: !allowLan },
    },
    { kind: 'row', label: t('exit.choose'), action: { kind: 'open-exit-nodes' } },
  ]
}

/** In use, suggested, recent, then devices of the network by name; servers of places only when they were in use. */
function shownNodes({ now, suggestedId, recentIds }: ExitState, nodes: readonly ExitNode[], words: Words): ExitNode[] {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const own = nodes
    .filter(({ place }) => place === null)
    .toSorted(
      (a, b) => Number(b.state === 'online') - Number(a.state === 'online') || words.compareTexts(a.name, b.name),
    )
  const wanted = [now.kind === 'off' ? '' : now.id, suggestedId, ...recentIds, ...own.map(({ id }) => id)]
  const ids = [...new Set(wanted)].filter((id) => byId.has(id)).slice(0, MAX_NODE_ROWS)
  return ids.flatMap((id) => byId.get(id) ?? [])
}
