/** Asked when the window closes on a desktop without tray icons: the window is all there is. */
import { useEffect, useState } from 'react'
import { Button, Checkbox, Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components'
import { call } from '../../daemon/bridge.ts'
import { useText } from '../../text/i18n.ts'
import { Icon } from '../../ui/icons.tsx'

export function CloseDialog() {
  const { t } = useText()
  const [isOpen, setIsOpen] = useState(false)
  const [remember, setRemember] = useState(false)
  useEffect(() => window.pintail.on('close-asked', () => setIsOpen(true)), [])
  const answer = (choice: 'keep' | 'quit') => {
    setIsOpen(false)
    void call('window.closeAnswer', { choice, remember })
  }
  return (
    <ModalOverlay className="modal-backdrop" isOpen={isOpen} onOpenChange={setIsOpen} isDismissable>
      <Modal className="modal">
        <Dialog role="alertdialog">
          <Heading slot="title" level={1}>
            {t('closing.title')}
          </Heading>
          <p>{t('closing.text')}</p>
          <p className="muted">{t('closing.note')}</p>
          <Checkbox className="checkbox" isSelected={remember} onChange={setRemember}>
            <span className="box">
              <Icon name="check" size={14} />
            </span>
            {t('closing.remember')}
          </Checkbox>
          <div className="actions">
            <Button className="button" onPress={() => answer('quit')}>
              {t('closing.quit')}
            </Button>
            <Button className="button primary" autoFocus onPress={() => answer('keep')}>
              {t('closing.keep')}
            </Button>
          </div>
        </Dialog>
      </Modal>
    </ModalOverlay>
  )
}
