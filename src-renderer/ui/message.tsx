/** A boxed sentence with a reason to exist; and the one place that turns a problem into words. */
import type { ReactNode } from 'react'
import type { AppProblem } from '../../src-contract/app/app-state.ts'
import { problemOf } from '../daemon/bridge.ts'
import { useText } from '../text/i18n.ts'
import { Icon } from './icons.tsx'

export interface MessageProps {
  kind: 'bad' | 'warn' | 'info'
  title?: string
  children?: ReactNode
  isAlert?: boolean
}

export function Message({ kind, title, children, isAlert = false }: MessageProps) {
  return (
    <div className={`message ${kind}`} role={isAlert ? 'alert' : undefined}>
      <Icon name={kind === 'info' ? 'info' : 'warning'} />
      <div className="body">
        {title !== undefined && <p className="title">{title}</p>}
        {children}
      </div>
    </div>
  )
}

export function ProblemMessage({ problem }: { problem: AppProblem }) {
  const { t } = useText()
  const isQuoted = problem.code === 'server' || problem.code === 'daemon'
  const isMasked = problem.message === 'masked-key'
  return (
    <Message kind="bad" isAlert title={isQuoted ? t(`problem.${problem.code}`) : t('problem.title')}>
      {isMasked ? <p>{t('signIn.keyMasked')}</p> : !isQuoted && <p>{t(`problem.${problem.code}`)}</p>}
      {problem.message !== '' && !isMasked && <p className="selectable detail">{problem.message}</p>}
    </Message>
  )
}

export function ErrorMessage({ error }: { error: unknown }) {
  return error === null || error === undefined ? null : <ProblemMessage problem={problemOf(error)} />
}
