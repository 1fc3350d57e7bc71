/** The frame of the window: where one is, whether one is connected, and what fills the rest. */
import { lazy, Suspense, useEffect } from 'react'
import { Button } from 'react-aria-components'
import type { AppPhase } from '../../../src-contract/app/app-state.ts'
import { readApp, useApp, useDevices } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Announcement } from '../../ui/announce.tsx'
import { CopyButton } from '../../ui/copy.tsx'
import { Icon, Mark } from '../../ui/icons.tsx'
import { SearchBox } from '../../ui/search-box.tsx'
import { DevicesScreen } from '../devices/devices-screen.tsx'
import { toggleExit } from '../exit/switching.ts'
import { ChangeDialog } from '../routes/change-dialog.tsx'
import { SelfScreen } from '../self/self-screen.tsx'
import { InUseByOther, NeedsApproval, ServiceAway, Starting } from '../service/state-screens.tsx'
import { SettingsScreen } from '../settings/settings-screen.tsx'
import { SignInScreen } from '../sign-in/sign-in-screen.tsx'
import { CloseDialog } from './close-dialog.tsx'
import { ConnectSwitch } from './connect-switch.tsx'
import { type Section, sections, useNavigation } from './navigation.ts'
import { Notices } from './notices.tsx'

// Not part of the first picture.
const ExitScreen = lazy(() => import('../exit/exit-screen.tsx'))
const RoutesScreen = lazy(() => import('../routes/routes-screen.tsx'))

export function Shell() {
  const { t } = useText()
  const { section, query, setQuery, go, select } = useNavigation()
  const hasDevices = useDevices().size > 0
  const phase = useApp((state) => state.phase)
  const showsList = hasList(phase, hasDevices)

  useEffect(
    () =>
      window.pintail.on('navigate', ({ to, deviceId }) => {
        go(to)
        if (deviceId !== undefined) select(deviceId)
      }),
    [go, select],
  )
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      if (!event.ctrlKey && !event.metaKey) return
      if (event.key === 'e') {
        event.preventDefault()
        toggleExit(readApp().exit, t('exit.automatic'))
        return
      }
      const target = targetOf(event)
      if (target === undefined) return
      event.preventDefault()
      go(target)
    }
    window.addEventListener('keydown', hear)
    return () => window.removeEventListener('keydown', hear)
  }, [go, t])

  return (
    <div className="shell">
      <nav className="rail" aria-label={t('nav.label')}>
        <NetworkName />
        <ul>
          {sections.map((name) => (
            <li key={name}>
              <Button
                className="nav-item"
                aria-current={section === name ? 'page' : 'false'}
                aria-label={t(`nav.${name}`)}
                onPress={() => go(name)}
              >
                <Icon name={name} />
                <span>{t(`nav.${name}`)}</span>
              </Button>
            </li>
          ))}
        </ul>
        <OwnAddress />
      </nav>
      <header className="top">
        <ConnectSwitch />
        {section === 'devices' && showsList && (
          <SearchBox
            label={t('devices.search')}
            hint={t('devices.searchHint')}
            clearLabel={t('devices.clearSearch')}
            value={query}
            onChange={setQuery}
          />
        )}
      </header>
      <main>
        <Notices />
        <Screen showsList={showsList} phase={phase} />
      </main>
      <CloseDialog />
      <ChangeDialog />
      <Announcement />
    </div>
  )
}

function targetOf({ key, shiftKey }: KeyboardEvent): Section | undefined {
  if (key === ',') return 'settings'
  if (shiftKey && key === 'E') return 'exit-node'
  return sections[Number(key) - 1]
}

function Screen({ phase, showsList }: { phase: AppPhase; showsList: boolean }) {
  const section = useNavigation((navigation) => navigation.section)
  if (section === 'settings') return <SettingsScreen />
  if (phase === 'unreachable' || phase === 'not-installed') return <ServiceAway />
  if (phase === 'in-use-by-other') return <InUseByOther />
  if (phase === 'signed-out') return <SignInScreen />
  if (phase === 'needs-approval') return <NeedsApproval />
  if (section === 'this-device') return <SelfScreen />
  if (section === 'exit-node' || section === 'routes')
    return <Suspense>{section === 'routes' ? <RoutesScreen /> : <ExitScreen />}</Suspense>
  return showsList ? <DevicesScreen /> : <Starting />
}

/** While connecting and while off the last list stays, greyed. */
function hasList(phase: AppPhase, hasDevices: boolean): boolean {
  switch (phase) {
    case 'starting':
      return hasDevices
    case 'not-installed':
    case 'unreachable':
    case 'in-use-by-other':
    case 'signed-out':
    case 'needs-approval':
      return false
    default:
      return true
  }
}

function NetworkName() {
  const { t } = useText()
  const network = useApp((state) => state.network)
  const account = useApp((state) => state.account)
  return (
    <div className="network">
      <Mark size={26} />
      <div className="names">
        <bdi className="name">{network || t('app.name')}</bdi>
        {account !== '' && <bdi className="hint">{account}</bdi>}
      </div>
    </div>
  )
}

function OwnAddress() {
  const { t } = useText()
  const self = useApp((state) => state.self)
  const isLinked = useApp((state) => state.daemon.link === 'connected')
  const address = self?.addresses[0]
  if (self === null || address === undefined || !isLinked) return null
  return (
    <div className="own-address">
      <div className="names">
        <span className="hint">{t('self.title')}</span>
        <bdi className="name">{self.name}</bdi>
        <span className="mono">{address}</span>
      </div>
      <CopyButton text={address} label={t('devices.copyAddress', { name: self.name })} />
    </div>
  )
}
