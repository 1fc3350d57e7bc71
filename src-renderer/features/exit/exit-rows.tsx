/** Rows of the picker: a way to choose, a device, a country with its cities, a city with its servers. */
import { type ReactNode, useId } from 'react'
import { Button, TreeItem, TreeItemContent } from 'react-aria-components'
import type { ExitNode } from '../../../src-contract/app/exit.ts'
import { useApp, useDevice } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Icon } from '../../ui/icons.tsx'
import { PathGlyph } from '../../ui/path-chip.tsx'
import { OsGlyph } from '../devices/os-glyph.tsx'
import type { ExitCity, ExitCountry } from './exit-groups.ts'
import { useMeasured } from './measure.ts'

interface RowProps {
  readonly lead: ReactNode
  readonly name: string
  readonly hint?: string | undefined
  readonly end?: ReactNode
  readonly isInUse?: boolean
}

/** A relay and a server of the same city. */
const NEAR_KM = 50

function Row({ lead, name, hint, end, isInUse = false }: RowProps) {
  const { t } = useText()
  return (
    <TreeItemContent>
      {({ hasChildItems, level }) => (
        <div className="exit-row" data-level={level}>
          <span className="twist">
            {hasChildItems && (
              <Button slot="chevron" className="icon-button">
                <Icon name="chevron" />
              </Button>
            )}
          </span>
          {lead}
          <span className="names">
            <bdi className="name">{name}</bdi>
            {hint !== undefined && <span className="hint">{hint}</span>}
          </span>
          <span className="exit-end">
            {end}
            {isInUse && (
              <span className="in-use">
                <Icon name="check" />
                {t('exit.inUse')}
              </span>
            )}
          </span>
        </div>
      )}
    </TreeItemContent>
  )
}

export function ChoiceRow({
  id,
  name,
  hint,
  isInUse,
  onChoose,
}: {
  id: string
  name: string
  hint?: string
  isInUse: boolean
  onChoose: () => void
}) {
  return (
    <TreeItem id={id} textValue={name} className="exit-item" onAction={onChoose}>
      <Row lead={<Lead icon={id === 'off' ? 'power' : 'pulse'} />} name={name} hint={hint} isInUse={isInUse} />
    </TreeItem>
  )
}

function Lead({ icon }: { icon: 'power' | 'pulse' | 'exit-node' }) {
  return (
    <span className="exit-lead">
      <Icon name={icon} />
    </span>
  )
}

export function NodeRow({
  group,
  node,
  hint,
  onChoose,
}: {
  group: string
  node: ExitNode
  hint?: string
  onChoose: (node: ExitNode) => void
}) {
  const { t } = useText()
  const isInUse = useApp(({ exit: { now } }) => now.kind !== 'off' && now.id === node.id)
  const os = useDevice(node.id)?.os ?? ''
  const problem =
    node.state === 'offline' ? t('exit.isOffline') : node.state === 'expired' ? t('exit.isExpired') : undefined
  const city = node.place?.city
  return (
    <TreeItem
      id={`${group}:${node.id}`}
      textValue={city || node.name}
      className={node.state === 'online' ? 'exit-item' : 'exit-item is-offline'}
      onAction={() => onChoose(node)}
    >
      <Row
        lead={
          node.place === null ? (
            <OsGlyph os={os} isOnline={node.state === 'online'} />
          ) : (
            <span className="country-code">{node.place.countryCode || '–'}</span>
          )
        }
        name={group === 'server' || !city ? node.name : city}
        hint={problem ?? hint}
        isInUse={isInUse}
        end={<Latency node={node} />}
      />
    </TreeItem>
  )
}

/** Of the path in use if that is known, else measured on demand; servers of places have only a distance. */
function Latency({ node }: { node: ExitNode }) {
  const { t, latency } = useText()
  const path = useDevice(node.id)?.path
  const measured = useMeasured((store) => store.byId[node.id])
  if (node.place !== null) return <Distance km={node.distanceKm} />
  if (node.state !== 'online') return null
  const ms = path?.latencyMs ?? (measured?.kind === 'ms' ? measured.latencyMs : null)
  const word =
    ms !== null
      ? latency(ms)
      : measured?.kind === 'measuring'
        ? t('exit.measuring')
        : measured?.kind === 'silent'
          ? t('exit.noLatency')
          : '–'
  return (
    <span className="exit-latency">
      {path !== undefined && ms !== null && <PathGlyph kind={path.kind} />}
      {word}
    </span>
  )
}

function Distance({ km }: { km: number | null }) {
  const { t, kilometres } = useText()
  if (km === null) return null
  const words = km < NEAR_KM ? t('exit.near') : t('exit.distance', { distance: kilometres(km) })
  return <span className="hint">{words}</span>
}

export function CountryRow({
  country,
  onToggle,
  children,
}: {
  country: ExitCountry
  onToggle: (key: string) => void
  children: ReactNode
}) {
  const { t } = useText()
  const key = `country:${country.key}`
  const isInUse = useApp(
    ({ exit: { now } }) =>
      now.kind !== 'off' && country.cities.some(({ servers }) => servers.some(({ id }) => id === now.id)),
  )
  return (
    <TreeItem id={key} textValue={country.name} className="exit-item" onAction={() => onToggle(key)}>
      <Row
        lead={<span className="country-code">{country.code || '–'}</span>}
        name={country.name}
        hint={t('exit.places', { count: country.cities.length })}
        isInUse={isInUse}
        end={<Distance km={country.distanceKm} />}
      />
      {children}
    </TreeItem>
  )
}

/** Choosing a city is choosing its best server; the others are one level below. */
export function CityRow({ city, onChoose }: { city: ExitCity; onChoose: (node: ExitNode) => void }) {
  const { t } = useText()
  const isInUse = useApp(({ exit: { now } }) => now.kind !== 'off' && city.servers.some(({ id }) => id === now.id))
  const [best] = city.servers
  if (best === undefined) return null
  return (
    <TreeItem id={`city:${city.key}`} textValue={city.name} className="exit-item" onAction={() => onChoose(best)}>
      <Row
        lead={<Lead icon="exit-node" />}
        name={city.name}
        hint={city.servers.length > 1 ? t('exit.servers', { count: city.servers.length }) : best.name}
        isInUse={isInUse}
        end={<Distance km={city.distanceKm} />}
      />
      {city.servers.length > 1 &&
        city.servers.map((server) => <NodeRow key={server.id} group="server" node={server} onChoose={onChoose} />)}
    </TreeItem>
  )
}

export function MoreRow({ count }: { count: number }) {
  const { t } = useText()
  const id = useId()
  const text = t('exit.more', { count })
  return (
    <TreeItem id={id} textValue={text} className="exit-item">
      <Row lead={<span />} name={text} />
    </TreeItem>
  )
}
