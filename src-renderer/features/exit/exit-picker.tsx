/** The list to choose from: a search, then one tree with one tab stop. A row chooses; a country opens. */
import { type ReactNode, useDeferredValue, useEffect, useMemo, useState } from 'react'
import { Button, type Key, Tree, TreeHeader, TreeSection } from 'react-aria-components'
import type { ExitNode, ExitState } from '../../../src-contract/app/exit.ts'
import { useApp, useDevices } from '../../daemon/mirror.ts'
import { countryNames, nameCollator, useText } from '../../text/i18n.ts'
import { announce } from '../../ui/announce.tsx'
import { Icon } from '../../ui/icons.tsx'
import { SearchBox } from '../../ui/search-box.tsx'
import { exitTitle, groupExits } from './exit-groups.ts'
import { ChoiceRow, CityRow, CountryRow, MoreRow, NodeRow } from './exit-rows.tsx'
import { measure } from './measure.ts'
import { switchExit } from './switching.ts'

/** Probes that are sent without being asked for. */
const MEASURED_BY_ITSELF = 24
/** With fewer in the list, recent ones would only be said twice. */
const WORTH_RECENT = 6
const SHOWN_RECENT = 4

export function ExitPicker() {
  const { t, language } = useText()
  const [query, setQuery] = useState('')
  const [open, setOpen] = useState<ReadonlySet<Key>>(new Set())
  const wanted = useDeferredValue(query)
  const nodes = useApp((state) => state.exitNodes)
  const exit = useApp((state) => state.exit)
  const devices = useDevices()
  const groups = useMemo(
    () => groupExits(nodes, wanted, { compare: nameCollator(language).compare, countryName: countryNames(language) }),
    [nodes, wanted, language],
  )
  const probed = groups.own
    .filter(({ id, state }) => state === 'online' && devices.get(id)?.path.latencyMs === null)
    .slice(0, MEASURED_BY_ITSELF)
    .map(({ id }) => id)
  const probedNow = probed.join(' ')
  useEffect(() => {
    if (probedNow !== '') measure(probedNow.split(' '), { anew: false })
  }, [probedNow])

  const byId = useMemo(() => new Map(nodes.map((node) => [node.id, node])), [nodes])
  const isSearching = wanted.trim() !== ''
  const suggested = isSearching ? undefined : byId.get(exit.suggestedId)
  const inUse = exit.now.kind === 'off' ? undefined : exit.now.id
  const recent =
    isSearching || nodes.length < WORTH_RECENT
      ? []
      : exit.recentIds
          .filter((id) => id !== inUse && id !== exit.suggestedId)
          .slice(0, SHOWN_RECENT)
          .flatMap((id) => byId.get(id) ?? [])
  const isEmpty = groups.own.length === 0 && groups.countries.length === 0
  const expanded = isSearching ? groups.countries.map(({ key }) => `country:${key}`) : open
  const choose = (node: ExitNode) => chooseNode(node, exit, t)
  const toggle = (key: Key) => {
    const next = new Set(open)
    if (!next.delete(key)) next.add(key)
    setOpen(next)
  }
  const chooseOff = () => {
    if (exit.now.kind !== 'off') void switchExit({ kind: 'off' }, '', exit.now)
  }

  return (
    <section className="card exit-picker" aria-label={t('exit.list')}>
      <div className="picker-head">
        <SearchBox label={t('exit.search')} clearLabel={t('exit.clearSearch')} value={query} onChange={setQuery} />
        <Button
          className="button"
          onPress={() =>
            measure(
              groups.own.filter(({ state }) => state === 'online').map(({ id }) => id),
              { anew: true },
            )
          }
        >
          <Icon name="pulse" />
          {t('exit.measure')}
        </Button>
      </div>
      {isEmpty ? (
        <p className="empty-title">{t('exit.noMatch', { query: wanted })}</p>
      ) : (
        <Tree
          className="exit-tree"
          aria-label={t('exit.list')}
          selectionMode="none"
          expandedKeys={expanded}
          onExpandedChange={(keys) => setOpen(new Set(keys))}
        >
          {!isSearching && (
            <Section title={t('exit.groupMode')}>
              <ChoiceRow id="off" name={t('exit.off')} isInUse={exit.now.kind === 'off'} onChoose={chooseOff} />
              <ChoiceRow
                id="auto"
                name={t('exit.automatic')}
                hint={t('exit.automaticHint')}
                isInUse={exit.now.kind === 'blocked' && exit.now.id === ''}
                onChoose={() => void switchExit({ kind: 'auto' }, t('exit.automatic'), exit.now)}
              />
            </Section>
          )}
          {suggested !== undefined && (
            <Section title={t('exit.groupSuggested')}>
              <NodeRow group="suggested" node={suggested} hint={t('exit.suggestedHint')} onChoose={choose} />
            </Section>
          )}
          {recent.length > 0 && (
            <Section title={t('exit.groupRecent')}>
              {recent.map((node) => (
                <NodeRow key={node.id} group="recent" node={node} onChoose={choose} />
              ))}
            </Section>
          )}
          {groups.own.length > 0 && (
            <Section title={t('exit.groupOwn')}>
              {groups.own.map((node) => (
                <NodeRow key={node.id} group="own" node={node} onChoose={choose} />
              ))}
              {groups.ownHidden > 0 && <MoreRow count={groups.ownHidden} />}
            </Section>
          )}
          {groups.countries.length > 0 && (
            <Section title={t('exit.groupPlaces')}>
              {groups.countries.map((country) => (
                <CountryRow key={country.key} country={country} onToggle={toggle}>
                  {country.cities.map((city) => (
                    <CityRow key={city.key} city={city} onChoose={choose} />
                  ))}
                </CountryRow>
              ))}
            </Section>
          )}
        </Tree>
      )}
      {groups.countries.some(({ distanceKm }) => distanceKm !== null) && (
        <p className="hint">{t('exit.distanceHint')}</p>
      )}
    </section>
  )
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <TreeSection>
      <TreeHeader className="exit-group">{title}</TreeHeader>
      {children}
    </TreeSection>
  )
}

function chooseNode(node: ExitNode, { now }: ExitState, t: ReturnType<typeof useText>['t']): void {
  const name = exitTitle(node)
  if (node.state === 'offline') announce(t('exit.isOffline'))
  else if (node.state === 'expired') announce(t('exit.isExpired'))
  else if (now.kind === 'off' || now.id !== node.id) void switchExit({ kind: 'node', id: node.id }, name, now)
}
