/** State S7: the exit node cannot serve, so nothing leaves. Says why, offers the two ways out. */
import { Button } from 'react-aria-components'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Message } from '../../ui/message.tsx'
import { useNavigation } from '../shell/navigation.ts'
import { switchExit } from './switching.ts'

export function BlockedMessage() {
  const { t } = useText()
  const now = useApp((state) => state.exit.now)
  const { section, go } = useNavigation()
  if (now.kind !== 'blocked') return null
  return (
    <Message kind="bad" title={t('exit.blockedTitle')}>
      <p>{t(`exitBlocked.${now.why}`, { name: now.name })}</p>
      <div className="message-actions">
        {section !== 'exit-node' && (
          <Button className="button primary" onPress={() => go('exit-node')}>
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
