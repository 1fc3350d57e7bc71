/**
 * The device list: an ARIA grid of our own on TanStack Virtual, one tab stop, arrows inside. The focused row stays
 * mounted. Ten thousand rows cost as much as twenty.
 */
import { defaultRangeExtractor, type Range, useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, useCallback, useEffect, useRef, useState } from 'react'
import type { Device } from '../../../src-contract/app/app-state.ts'
import { useText } from '../../text/i18n.ts'
import { useCopy } from '../../ui/copy.tsx'
import { DeviceRow } from './device-row.tsx'

const ROW_HEIGHT = 56
const PAGE_ROWS = 10

interface DeviceGridProps {
  devices: readonly Device[]
  selectedId: string | undefined
  isGreyed: boolean
  onSelect: (id: string) => void
  onPing: (id: string) => void
}

export function DeviceGrid({ devices, selectedId, isGreyed, onSelect, onPing }: DeviceGridProps) {
  const { t } = useText()
  const copy = useCopy()
  const scroller = useRef<HTMLDivElement>(null)
  const [focusedId, setFocusedId] = useState<string>()
  const hasFocus = useRef(false)
  const focused = Math.max(
    0,
    devices.findIndex((device) => device.id === (focusedId ?? selectedId)),
  )

  const withFocused = useCallback(
    (range: Range) => {
      const rows = defaultRangeExtractor(range)
      if (focused >= range.count || rows.includes(focused)) return rows
      return [...rows, focused].sort((a, b) => a - b)
    },
    [focused],
  )
  const rows = useVirtualizer({
    count: devices.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 6,
    getItemKey: (index) => devices[index]?.id ?? index,
    rangeExtractor: withFocused,
  })

  useEffect(() => {
    if (hasFocus.current)
      scroller.current?.querySelector<HTMLElement>(`[data-row="${focused}"]`)?.focus({ preventScroll: true })
  }, [focused])

  const moveTo = (index: number) => {
    const next = Math.min(devices.length - 1, Math.max(0, index))
    rows.scrollToIndex(next, { align: 'auto' })
    setFocusedId(devices[next]?.id)
  }

  const hearKey = (event: KeyboardEvent) => {
    const device = devices[focused]
    if (device === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    const moves: Record<string, number> = {
      ArrowDown: focused + 1,
      ArrowUp: focused - 1,
      PageDown: focused + PAGE_ROWS,
      PageUp: focused - PAGE_ROWS,
      Home: 0,
      End: devices.length - 1,
    }
    const move = moves[event.key]
    if (move !== undefined) moveTo(move)
    else if (event.key === 'Enter' || event.key === ' ') onSelect(device.id)
    else if (event.key === 'c' && device.addresses[0] !== undefined) copy(device.addresses[0])
    else if (event.key === 'p' && device.online) onPing(device.id)
    else return
    event.preventDefault()
  }

  return (
    // biome-ignore lint/a11y/useSemanticElements: a table cannot place its rows
    <div
      ref={scroller}
      className={isGreyed ? 'device-grid greyed' : 'device-grid'}
      role="grid"
      aria-label={t('devices.title')}
      aria-rowcount={devices.length}
      aria-colcount={3}
      onKeyDown={hearKey}
      onFocus={() => {
        hasFocus.current = true
      }}
      onBlur={() => {
        hasFocus.current = false
      }}
    >
      <div className="rows" role="presentation" style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((item) => {
          const device = devices[item.index]
          return (
            device !== undefined && (
              <DeviceRow
                key={item.key}
                device={device}
                index={item.index}
                top={item.start}
                isSelected={device.id === selectedId}
                isTabStop={item.index === focused}
                isGreyed={isGreyed}
                onSelect={(id) => {
                  setFocusedId(id)
                  onSelect(id)
                }}
              />
            )
          )
        })}
      </div>
    </div>
  )
}
