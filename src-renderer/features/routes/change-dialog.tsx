/** Asked before a change that may cut something off: what would be different, line by line. */
import { Button, Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components'
import type { ChangeLine } from '../../../src-contract/app/network.ts'
import { useText } from '../../text/i18n.ts'
import { Message } from '../../ui/message.tsx'
import { useEdit, useEdits } from './edits.ts'

/** As the main process orders it. */
const CONFIRM_WITHIN_S = 30
const SHOWN_LINES = 12

export function ChangeDialog() {
  const { t } = useText()
  const asking = useEdits((store) => store.asking)
  const { applySafely, cancel } = useEdit()
  const lines = asking?.view.lines ?? []
  return (
    <ModalOverlay
      className="modal-backdrop"
      isOpen={asking !== undefined}
      onOpenChange={(isOpen) => {
        if (!isOpen) cancel()
      }}
      isDismissable
    >
      <Modal className="modal">
        <Dialog role="alertdialog">
          <Heading slot="title" level={1}>
            {t('change.title')}
          </Heading>
          <p>{t('change.text', { seconds: CONFIRM_WITHIN_S })}</p>
          {asking?.view.warnings.map((warning) => (
            <Message key={warning} kind="warn">
              <p className="selectable">{warning}</p>
            </Message>
          ))}
          <ul className="change-lines">
            {lines.slice(0, SHOWN_LINES).map((line) => (
              <Line key={`${line.sign}${line.subject}${line.text}`} line={line} />
            ))}
          </ul>
          {lines.length > SHOWN_LINES && (
            <p className="hint">{t('change.more', { count: lines.length - SHOWN_LINES })}</p>
          )}
          <div className="actions">
            <Button className="button" onPress={cancel}>
              {t('change.cancel')}
            </Button>
            <Button
              className="button primary"
              autoFocus
              onPress={() => {
                if (asking !== undefined) void applySafely(asking.edit)
              }}
            >
              {t('change.apply', { seconds: CONFIRM_WITHIN_S })}
            </Button>
          </div>
        </Dialog>
      </Modal>
    </ModalOverlay>
  )
}

function Line({ line: { sign, subject, text } }: { line: ChangeLine }) {
  const { t } = useText()
  return (
    <li className={sign === '-' ? 'change-line lost' : 'change-line'}>
      <span className="mono sign">{sign === '-' ? '−' : sign}</span>
      <span className="muted">{t(`changeSubject.${subject}`)}</span>
      <bdi className="mono selectable">{text}</bdi>
    </li>
  )
}
