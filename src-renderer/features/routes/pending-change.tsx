/** A change that is taken back unless it is kept: the countdown, Keep and Undo. Whoever made it, window or command line. */
import { useEffect, useState } from 'react'
import { Button } from 'react-aria-components'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Message, ProblemMessage } from '../../ui/message.tsx'
import { useEdit, useEdits } from './edits.ts'

export function PendingChangeMessage() {
  const { t } = useText()
  const pending = useApp((state) => state.pendingChange)
  const { isRunning, problem } = useEdits()
  const { answer } = useEdit()
  const seconds = useSecondsLeft(pending?.deadlineMs ?? 0)
  if (pending === null) return null
  return (
    <Message kind="warn" isAlert title={t('change.pending')}>
      <p>{t('change.pendingText', { what: pending.what.join(', ') })}</p>
      <div className="message-actions">
        <Button className="button primary" isDisabled={isRunning} onPress={() => void answer(pending.id, true)}>
          {t('change.keep')}
        </Button>
        <Button className="button" isDisabled={isRunning} onPress={() => void answer(pending.id, false)}>
          {t('change.undo')}
        </Button>
        {/* Read once with the alert; not every second. */}
        <span className="countdown" role="timer" aria-live="off">
          {t('change.left', { seconds })}
        </span>
      </div>
      {problem !== undefined && <ProblemMessage problem={problem} />}
    </Message>
  )
}

function useSecondsLeft(deadlineMs: number): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500)
    return () => clearInterval(timer)
  }, [])
  return Math.max(0, Math.ceil((deadlineMs - now) / 1000))
}
