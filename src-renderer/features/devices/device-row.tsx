/** One device: name and owner, address with copy, how it is reached. */
import { memo, type ReactNode } from 'react'
import type { Device } from '../../../src-contract/app/app-state.ts'
import { useText } from '../../text/i18n.ts'
import { CopyButton } from '../../ui/copy.tsx'
import { PathChip } from '../../ui/path-chip.tsx'
import { OsGlyph } from './os-glyph.tsx'

interface DeviceRowProps {
  device: Device
  index: number
  top: number
  isSelected: boolean
  isTabStop: boolean
  isGreyed: boolean
  onSelect: (id: string) => void
}

export const DeviceRow = memo(Row, (a, b) =>
  (Object.keys(a) as (keyof DeviceRowProps)[]).every((key) => key === 'onSelect' || a[key] === b[key]),
)

function Row({ device, index, top, isSelected, isTabStop, isGreyed, onSelect }: DeviceRowProps) {
  const { t, ago } = useText()
  const address = device.addresses[0]
  const people = device.tags.length > 0 ? device.tags.join(', ') : device.owner
  const facts = [
    people,
    device.offersExitNode ? t('devices.exitNode') : '',
    device.routes.length > 0 ? t('devices.router') : '',
  ].filter(Boolean)
  return (
    // biome-ignore lint/a11y/useSemanticElements: rows are placed by the virtual list; a table cannot do that
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid hears the keys for all its rows
    <div
      role="row"
      aria-rowindex={index + 1}
      aria-selected={isSelected}
      data-row={index}
      tabIndex={isTabStop ? 0 : -1}
      className={`device-row${device.online ? '' : ' is-offline'}`}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onSelect(device.id)}
    >
      <Cell column={1} className="who">
        <OsGlyph os={device.os} isOnline={device.online && !isGreyed} />
        <div className="names">
          <bdi className="name">{device.name}</bdi>
          <span className="facts">
            {device.keyExpired && <span className="bad-word">{t('devices.expired')}</span>}
            <bdi>{facts.join(' · ')}</bdi>
          </span>
        </div>
      </Cell>
      <Cell column={2} className="address">
        {address !== undefined && (
          <>
            <span className="mono">{address}</span>
            <CopyButton text={address} label={t('devices.copyAddress', { name: device.name })} isOutOfTabOrder />
          </>
        )}
      </Cell>
      <Cell column={3} className="path">
        {/* While off nobody knows; no path is better than yesterday's. */}
        {!isGreyed && <PathChip path={device.path} />}
        {!device.online && device.lastSeen !== null && <span className="hint">{ago(device.lastSeen)}</span>}
      </Cell>
    </div>
  )
}

/** One stop for the whole row: cells are read with it, not visited one by one. */
function Cell({ column, className, children }: { column: number; className: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: as the row
    // biome-ignore lint/a11y/useFocusableInteractive: the row is what has focus
    <div role="gridcell" aria-colindex={column} className={className}>
      {children}
    </div>
  )
}
