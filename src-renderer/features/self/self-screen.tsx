/** This device: its addresses, its network, how to leave it. */
import { useState } from 'react'
import { Button, Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components'
import { useCommand } from '../../daemon/commands.ts'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { ErrorMessage } from '../../ui/message.tsx'
import { Fact, Facts } from '../details/facts.tsx'

export function SelfScreen() {
  const { t, date } = useText()
  const self = useApp((state) => state.self)
  const network = useApp((state) => state.network)
  const account = useApp((state) => state.account)
  const server = useApp((state) => state.controlUrl)
  const isLinked = useApp((state) => state.daemon.link === 'connected')
  const [isAsking, setIsAsking] = useState(false)
  const signOut = useCommand('signOut')
  return (
    <div className="page">
      <h1>{t('self.title')}</h1>
      {self === null ? (
        <p className="muted">{t('self.missing')}</p>
      ) : (
        <>
          <section className="card">
            <h2>{t('self.addresses')}</h2>
            <Facts>
              {self.addresses.map((address) => (
                <Fact
                  key={address}
                  name={address.includes(':') ? t('details.ipv6') : t('details.ipv4')}
                  value={address}
                  isMono
                  canCopy
                />
              ))}
              <Fact name={t('self.name')} value={self.dnsName || self.name} canCopy />
            </Facts>
          </section>
          <section className="card">
            <h2>{t('self.network')}</h2>
            <Facts>
              <Fact name={t('self.network')} value={network} />
              <Fact name={t('self.account')} value={account} />
              <Fact name={t('self.server')} value={server} canCopy />
              <Fact name={t('self.relay')} value={self.relay} />
              <Fact name={t('self.tags')} value={self.tags.join(', ')} />
              <Fact name={t('self.endpoints')} value={self.endpoints.join('\n')} isMono />
              <Fact
                name={t('self.keyExpiry')}
                value={self.keyExpiry === null ? t('details.never') : date(self.keyExpiry)}
              />
              <Fact name={t('self.publicKey')} value={self.publicKey} isMono canCopy />
            </Facts>
          </section>
          <div>
            <Button
              className="button danger"
              isDisabled={!isLinked || signOut.isPending}
              onPress={() => setIsAsking(true)}
            >
              {t('self.signOut')}
            </Button>
          </div>
          <ErrorMessage error={signOut.error} />
        </>
      )}
      <ModalOverlay className="modal-backdrop" isOpen={isAsking} onOpenChange={setIsAsking} isDismissable>
        <Modal className="modal">
          <Dialog role="alertdialog">
            <Heading slot="title" level={1}>
              {t('self.signOutConfirm', { network })}
            </Heading>
            <p className="muted">{t('self.signOutText')}</p>
            <div className="actions">
              <Button className="button" autoFocus onPress={() => setIsAsking(false)}>
                {t('signIn.cancel')}
              </Button>
              <Button
                className="button danger"
                onPress={() => {
                  setIsAsking(false)
                  signOut.mutate(undefined)
                }}
              >
                {t('self.signOut')}
              </Button>
            </div>
          </Dialog>
        </Modal>
      </ModalOverlay>
    </div>
  )
}
