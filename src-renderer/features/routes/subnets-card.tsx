/** Networks that other devices offer: one switch for all, one for each, and why one is not in use. */
import type { ReactNode } from 'react'
import { Switch } from 'react-aria-components'
import type { RouteRow, RoutesView } from '../../../src-contract/app/network.ts'
import { useApp, useDevices } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { useEdit, useEdits } from './edits.ts'

/** `routes`: null with a daemon that knows no single routes; then what the devices offer is listed. */
export function SubnetsCard({ routes }: { routes: RoutesView | null }) {
  const { t } = useText()
  const accepts = useApp((state) => state.acceptsRoutes)
  const isRunning = useEdits((store) => store.isRunning)
  const { submit } = useEdit()
  const offered = useOfferedRoutes()
  const offeredPrefixes = new Set(routes?.routes.map(({ prefix }) => prefix))
  const nobodys = routes?.off.filter((prefix) => !offeredPrefixes.has(prefix)) ?? []
  const isEmpty = (routes?.routes ?? offered).length + nobodys.length === 0
  return (
    <section className="card" aria-labelledby="subnets">
      <h2 id="subnets">{t('routes.subnets')}</h2>
      <div className="setting">
        <div className="setting-text">
          <span id="accept-routes">{t('routes.accept')}</span>
          <p className="hint">{t('routes.acceptHint')}</p>
        </div>
        <Switch
          className="switch"
          aria-labelledby="accept-routes"
          isSelected={accepts}
          isDisabled={isRunning}
          onChange={(on) => void submit({ kind: 'accept-routes', on })}
        >
          <span className="track" />
        </Switch>
      </div>
      {isEmpty && <p className="muted">{t('routes.none')}</p>}
      <ul className="route-list">
        {routes?.routes.map((route) => (
          <Route key={`${route.prefix} ${route.viaId}`} route={route} off={routes.off} canSwitch={accepts} />
        ))}
        {nobodys.map((prefix) => (
          <Row key={prefix} prefix={prefix} via={t('routes.nobody')} words={t('routeState.off')} isInUse={false} />
        ))}
        {routes === null &&
          offered.map(({ prefix, via }) => (
            <Row key={`${prefix} ${via}`} prefix={prefix} via={t('routes.via', { name: via })} />
          ))}
      </ul>
      {routes === null && offered.length > 0 && <p className="hint">{t('routes.notSingle')}</p>}
    </section>
  )
}

function useOfferedRoutes(): { prefix: string; via: string }[] {
  const devices = useDevices()
  return [...devices.values()].flatMap(({ name, routes }) => routes.map((prefix) => ({ prefix, via: name })))
}

function Route({ route, off, canSwitch }: { route: RouteRow; off: readonly string[]; canSwitch: boolean }) {
  const { t } = useText()
  const { submit } = useEdit()
  const isRunning = useEdits((store) => store.isRunning)
  const { prefix, viaName, online, inUse, reason } = route
  const via = t(online ? 'routes.via' : 'routes.viaOffline', { name: viaName })
  const words = inUse ? t('routeState.inUse') : t(`routeState.${reason === '' ? 'other' : reason}`)
  return (
    <Row prefix={prefix} via={via} words={words} isInUse={inUse}>
      <Switch
        className="switch"
        aria-label={t('routes.use', { prefix, name: viaName })}
        isSelected={canSwitch && !off.includes(prefix)}
        isDisabled={isRunning || !canSwitch}
        onChange={(on) => void submit({ kind: 'route', prefix, on })}
      >
        <span className="track" />
      </Switch>
    </Row>
  )
}

interface RowProps {
  prefix: string
  via: string
  words?: string
  isInUse?: boolean
  children?: ReactNode
}

function Row({ prefix, via, words, isInUse = false, children }: RowProps) {
  return (
    <li className="route-row">
      <div className="names">
        <bdi className="mono name">{prefix}</bdi>
        <bdi className="hint">{via}</bdi>
      </div>
      {words !== undefined && <span className={isInUse ? 'route-state in-use' : 'route-state'}>{words}</span>}
      {children}
    </li>
  )
}
