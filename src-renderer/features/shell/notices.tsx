/** At most one thing to know at a time, the worst first; the rest one click away. */
import { useState } from 'react'
import { Button } from 'react-aria-components'
import type { AppProblem, Notice } from '../../../src-contract/app/app-state.ts'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Message, ProblemMessage } from '../../ui/message.tsx'
import { BlockedMessage } from '../exit/blocked-message.tsx'
import { PendingChangeMessage } from '../routes/pending-change.tsx'
import { useNavigation } from './navigation.ts'

export function Notices() {
  const { t } = useText()
  const notices = useApp((state) => state.notices)
  const problem = useApp((state) => (state.daemon.link === 'connected' ? state.problem : null))
  const phase = useApp((state) => state.phase)
  const [isOpen, setIsOpen] = useState(false)
  // The screens of these phases show the problem themselves.
  const shownProblem: AppProblem | null =
    phase === 'signed-out' || phase === 'starting' || phase === 'in-use-by-other' ? null : problem
  const section = useNavigation((navigation) => navigation.section)
  const isBlocked = phase === 'blocked'
  // Blocked has words and ways out of its own; the exit node's screen shows them in their place.
  const worth =
    phase === 'off' || phase === 'signed-out'
      ? []
      : notices.filter(({ code }) => !isBlocked || code !== 'exit-node-unavailable')
  const showsBlocked = isBlocked && section !== 'exit-node'
  const hasPending = useApp((state) => state.pendingChange !== null)
  if (worth.length === 0 && shownProblem === null && !showsBlocked && !hasPending) return null
  const shown = isOpen ? worth : worth.slice(0, 1)
  const hidden = worth.length - shown.length
  return (
    <section className="notices" aria-label={t('notices.label')}>
      {hasPending && <PendingChangeMessage />}
      {showsBlocked && <BlockedMessage />}
      {shownProblem !== null && <ProblemMessage problem={shownProblem} />}
      {shown.map((notice) => (
        <NoticeRow key={notice.code} notice={notice} />
      ))}
      {(hidden > 0 || isOpen) && worth.length > 1 && (
        <Button className="button link" onPress={() => setIsOpen(!isOpen)}>
          {isOpen ? t('notices.less') : t('notices.more', { count: hidden })}
        </Button>
      )}
    </section>
  )
}

function NoticeRow({ notice }: { notice: Notice }) {
  const kind = notice.severity === 'high' ? 'bad' : notice.severity === 'medium' ? 'warn' : 'info'
  return (
    <Message kind={kind} title={notice.title}>
      {notice.text !== notice.title && <p>{notice.text}</p>}
    </Message>
  )
}
