/** Devices: search, chips, the list and the details of one beside it. */
import { useDeferredValue, useEffect, useMemo } from 'react'
import { Button, ToggleButton, ToggleButtonGroup } from 'react-aria-components'
import { isConnected } from '../../../src-contract/app/app-state.ts'
import { call } from '../../daemon/bridge.ts'
import { type DeviceChip, deviceChips, searchDevices, sortDevices } from '../../daemon/device-search.ts'
import { useApp, useDevice, useDevices } from '../../daemon/mirror.ts'
import { nameCollator, useText } from '../../text/i18n.ts'
import { announce } from '../../ui/announce.tsx'
import { Icon } from '../../ui/icons.tsx'
import { DeviceDetails } from '../details/device-details.tsx'
import { usePing } from '../details/ping.ts'
import { useNavigation } from '../shell/navigation.ts'
import { DeviceGrid } from './device-grid.tsx'

export function DevicesScreen() {
  const { t, language, clock } = useText()
  const { query, chip, selectedId, setChip, setQuery, select } = useNavigation()
  const devices = useDevices()
  const phase = useApp((state) => state.phase)
  const asOf = useApp((state) => state.devicesAsOf)
  const selected = useDevice(selectedId)
  const ping = usePing()
  const wanted = useDeferredValue(query)
  const shown = useMemo(
    () => sortDevices(searchDevices(devices.values(), wanted, chip), nameCollator(language)),
    [devices, wanted, chip, language],
  )
  const online = useMemo(() => searchDevices(devices.values(), '', 'online').length, [devices])
  const isGreyed = !isConnected(phase)
  const isFiltered = query !== '' || chip !== 'all'

  useEffect(() => {
    if (devices.size > 0 && !isGreyed) void call('window.painted', undefined)
  }, [devices.size, isGreyed])

  useEffect(() => {
    if (wanted !== '') announce(t('devices.found', { count: shown.length }))
  }, [wanted, shown.length, t])

  return (
    <div className={selected === undefined ? 'devices-screen' : 'devices-screen with-details'}>
      <section className="device-list" aria-label={t('devices.title')}>
        <div className="list-head">
          <ToggleButtonGroup
            className="choices"
            aria-label={t('devices.filter')}
            selectionMode="single"
            disallowEmptySelection
            selectedKeys={[chip]}
            onSelectionChange={(keys) => setChip(([...keys][0] as DeviceChip | undefined) ?? 'all')}
          >
            {deviceChips.map((name) => (
              <ToggleButton key={name} id={name} className="choice">
                {t(`devices.${name}`)}
              </ToggleButton>
            ))}
          </ToggleButtonGroup>
          <p className="hint counts">
            {isFiltered ? t('devices.found', { count: shown.length }) : t('devices.count', { count: devices.size })}
            {!isGreyed && !isFiltered && ` · ${t('devices.onlineCount', { count: online })}`}
          </p>
        </div>
        {isGreyed && devices.size > 0 && asOf > 0 && (
          <p className="as-of hint">
            <Icon name="clock" /> {t('devices.greyed', { time: clock(asOf) })}
          </p>
        )}
        {shown.length > 0 ? (
          <DeviceGrid
            devices={shown}
            selectedId={selected?.id}
            isGreyed={isGreyed}
            onSelect={select}
            onPing={(id) => {
              select(id)
              ping.start(id)
            }}
          />
        ) : (
          <div className="empty">
            {isFiltered ? (
              <>
                <p className="empty-title">{t('devices.noMatch', { query: query || t(`devices.${chip}`) })}</p>
                <Button
                  className="button"
                  onPress={() => {
                    setQuery('')
                    setChip('all')
                  }}
                >
                  {t('devices.clearFilter')}
                </Button>
              </>
            ) : (
              <>
                <Icon name="devices" size={40} />
                <p className="empty-title">{t('devices.none')}</p>
                <p className="muted">{t('devices.noneHint')}</p>
              </>
            )}
          </div>
        )}
      </section>
      {selected !== undefined && (
        <DeviceDetails key={selected.id} device={selected} isGreyed={isGreyed} onClose={() => select(undefined)} />
      )}
    </div>
  )
}
