/** The sign-in page is open elsewhere: the same link to copy, to scan, to open again; or stop. */
import { lazy, Suspense } from 'react'
import { Button } from 'react-aria-components'
import { useCommand } from '../../daemon/commands.ts'
import { useText } from '../../text/i18n.ts'
import { Command } from '../../ui/copy.tsx'
import { ErrorMessage } from '../../ui/message.tsx'

const Qr = lazy(() => import('../../ui/qr.tsx'))

export function WaitingForBrowser({ url, onCancel }: { url: string; onCancel: () => void }) {
  const { t } = useText()
  const open = useCommand('signIn.openPage')
  const cancel = useCommand('signIn.cancel')
  return (
    <div className="center-screen">
      <div className="card waiting">
        <h1>{t('signIn.waitingTitle')}</h1>
        <p className="muted">{t('signIn.waitingText')}</p>
        <Suspense fallback={<div className="qr" />}>
          <Qr text={url} label={t('signIn.qr')} />
        </Suspense>
        <Command text={url} />
        <ErrorMessage error={open.error} />
        <div className="actions">
          <Button
            className="button"
            onPress={() => {
              onCancel()
              cancel.mutate(undefined)
            }}
          >
            {t('signIn.cancel')}
          </Button>
          <Button className="button primary" onPress={() => open.mutate(undefined)}>
            {t('signIn.openPage')}
          </Button>
        </div>
      </div>
    </div>
  )
}
