/** Copying, and a button for it. The clipboard is main's; what was copied is said. */
import { Button } from 'react-aria-components'
import { call } from '../daemon/bridge.ts'
import { useText } from '../text/i18n.ts'
import { announce } from './announce.tsx'
import { Icon } from './icons.tsx'

export function useCopy(): (text: string) => void {
  const { t } = useText()
  return (text) => {
    call('clipboard.copy', { text }).then(
      () => announce(t('copy.done', { text })),
      () => announce(t('copy.failed')),
    )
  }
}

export function CopyButton({
  text,
  label,
  isOutOfTabOrder,
}: {
  text: string
  label: string
  isOutOfTabOrder?: boolean
}) {
  const copy = useCopy()
  return (
    <Button
      className="icon-button"
      aria-label={label}
      excludeFromTabOrder={isOutOfTabOrder ?? false}
      onPress={() => copy(text)}
    >
      <Icon name="copy" />
    </Button>
  )
}

export function Command({ text }: { text: string }) {
  const { t } = useText()
  return (
    <div className="command">
      <code>{text}</code>
      <CopyButton text={text} label={t('copy.action')} />
    </div>
  )
}
