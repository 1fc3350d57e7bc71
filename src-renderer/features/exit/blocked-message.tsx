/** State S7: the exit node cannot serve, so nothing leaves. Says why, offers the two ways out. */
import { Button } from 'react-aria-components'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Message } from '../../ui/message.tsx'
import { useNavigation } from '../shell/navigation.ts'
import { exitTitle, otherExit } from './exit-groups.ts'
import { switchExit } from './switching.ts'

export function BlockedMessage() {
  const { t } = useText()
  const now = useApp((state) => state.exit.now)
  const { section, go } = useNavigation()
  const exit = useApp((state) => state.exit)
  const other = otherExit(
    exit,
    useApp((state) => state.exitNodes),
  )
  if (now.kind !== 'blocked') return null
  return (
    <Message kind="bad" title={t('exit.blockedTitle')}>
      <p>{t(`exitBlocked.${now.why}`, { name: now.name })}</p>
      <div className="message-actions">
        {other !== undefined && (
          <Button
            className="button primary"
            onPress={() => void switchExit({ kind: 'node', id: other.id }, exitTitle(other), now)}
          >
            {t('exit.useLast', { name: exitTitle(other) })}
          </Button>
        )}
        {section !== 'exit-node' && (
          <Button className="button" onPress={() => go('exit-node')}>
            {t('exit.useAnother')}
          </Button>
        )}
        <Button className="button" onPress={() => void switchExit({ kind: 'off' }, '', now)}>
          {t('exit.stopShort')}
        </Button>
      </div>
    </Message>
  )
}
