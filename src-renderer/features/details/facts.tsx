/** Rows of name and value, some with a copy button. */
import type { ReactNode } from 'react'
import { useText } from '../../text/i18n.ts'
import { CopyButton } from '../../ui/copy.tsx'

export function Facts({ children }: { children: ReactNode }) {
  return <dl className="facts-list">{children}</dl>
}

export function Fact({
  name,
  value,
  isMono = false,
  canCopy = false,
}: {
  name: string
  value: string
  isMono?: boolean
  canCopy?: boolean
}) {
  const { t } = useText()
  if (value === '') return null
  return (
    <div className="fact">
      <dt>{name}</dt>
      <dd>
        <bdi className={isMono ? 'mono selectable' : 'selectable'}>{value}</bdi>
        {canCopy && <CopyButton text={value} label={t('details.copy', { what: name })} />}
      </dd>
    </div>
  )
}
