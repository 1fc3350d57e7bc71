/** What is in use now, and the one action that fits: stop, use the last one, or, when blocked, choose another. */
import { Button } from 'react-aria-components'
import { useApp, useDevice } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Icon } from '../../ui/icons.tsx'
import { PathChip } from '../../ui/path-chip.tsx'
import { BlockedMessage } from './blocked-message.tsx'
import { switchExit } from './switching.ts'

export function ExitNowCard() {
  const { t } = useText()
  const { now, last } = useApp((state) => state.exit)
  const device = useDevice(now.kind === 'off' ? undefined : now.id)
  if (now.kind === 'blocked') return <BlockedMessage />
  const isOn = now.kind === 'on'
  const lastName = last.kind === 'node' ? last.name : t('exit.automatic')
  return (
    <section className={isOn ? 'card exit-now is-on' : 'card exit-now'}>
      <Icon name={isOn ? 'exit-node' : 'globe'} size={28} />
      <div className="exit-now-text">
        <h2>{isOn ? t('exit.nowOn', { name: now.name }) : t('exit.nowOff')}</h2>
        <p className="muted">{isOn ? t('exit.nowOnText', { name: now.name }) : t('exit.nowOffText')}</p>
        {isOn && device !== undefined && <PathChip path={device.path} />}
      </div>
      {isOn ? (
        <Button className="button" onPress={() => void switchExit({ kind: 'off' }, '', now)}>
          {t('exit.stopShort')}
        </Button>
      ) : (
        last.kind !== 'none' && (
          <Button className="button primary" onPress={() => void switchExit({ kind: 'last' }, lastName, now)}>
            {t('exit.useLast', { name: lastName })}
          </Button>
        )
      )}
    </section>
  )
}
