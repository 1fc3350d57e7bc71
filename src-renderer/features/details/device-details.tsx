/** One device: how it is reached now, ping, addresses, identity. Sections for files, routes and services join here. */
import { Button } from 'react-aria-components'
import type { Device } from '../../../src-contract/app/app-state.ts'
import { useText } from '../../text/i18n.ts'
import { Icon } from '../../ui/icons.tsx'
import { PathChip } from '../../ui/path-chip.tsx'
import { OsGlyph } from '../devices/os-glyph.tsx'
import { Fact, Facts } from './facts.tsx'
import { PingPanel } from './ping-panel.tsx'

export function DeviceDetails({
  device,
  isGreyed,
  onClose,
}: {
  device: Device
  isGreyed: boolean
  onClose: () => void
}) {
  const { t, date, ago } = useText()
  const v4 = device.addresses.find((address) => !address.includes(':'))
  const v6 = device.addresses.find((address) => address.includes(':'))
  const presence = device.online
    ? t('details.online')
    : device.lastSeen === null
      ? t('details.offline')
      : t('devices.lastSeen', { when: ago(device.lastSeen) })
  return (
    <aside
      className="details"
      aria-label={t('details.label', { name: device.name })}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose()
      }}
    >
      <header>
        <OsGlyph os={device.os} isOnline={device.online && !isGreyed} />
        <div className="names">
          <h1>
            <bdi>{device.name}</bdi>
          </h1>
          <p className="muted">{[device.os, isGreyed ? '' : presence].filter(Boolean).join(' · ')}</p>
        </div>
        <Button className="icon-button" aria-label={t('details.close')} onPress={onClose}>
          <Icon name="close" />
        </Button>
      </header>
      {!isGreyed && (
        <section>
          <h2>{t('details.pathNow')}</h2>
          <p className="path-now">
            <PathChip path={device.path} />
            {device.path.endpoint !== '' && (
              <span className="mono hint selectable">{t('details.through', { endpoint: device.path.endpoint })}</span>
            )}
          </p>
          <p className="hint">{t(`path.${device.path.kind}Help`)}</p>
          {device.online && <PingPanel id={device.id} />}
        </section>
      )}
      <section>
        <h2>{t('details.addresses')}</h2>
        <Facts>
          <Fact name={t('details.ipv4')} value={v4 ?? ''} isMono canCopy />
          <Fact name={t('details.ipv6')} value={v6 ?? ''} isMono canCopy />
          <Fact name={t('details.dnsName')} value={device.dnsName} canCopy />
        </Facts>
      </section>
      {device.routes.length > 0 && (
        <section>
          <h2>{t('details.routes')}</h2>
          <ul className="plain-list mono">
            {device.routes.map((route) => (
              <li key={route}>{route}</li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h2>{t('details.identity')}</h2>
        <Facts>
          <Fact name={t('details.owner')} value={device.tags.length > 0 ? '' : device.owner} />
          <Fact name={t('details.tags')} value={device.tags.join(', ')} />
          <Fact name={t('details.version')} value={device.version} />
          <Fact name={t('details.created')} value={device.created === null ? '' : date(device.created)} />
          <Fact
            name={t('details.keyExpiry')}
            value={device.keyExpiry === null ? t('details.never') : date(device.keyExpiry)}
          />
          <Fact name={t('details.publicKey')} value={device.publicKey} isMono canCopy />
        </Facts>
      </section>
    </aside>
  )
}
