/** Joining a network: by browser or by key, at any server. */
import { type FormEvent, useState } from 'react'
import { Button, FieldError, Input, Label, Text, TextField } from 'react-aria-components'
import { useCommand } from '../../daemon/commands.ts'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Icon, Mark } from '../../ui/icons.tsx'
import { ErrorMessage, ProblemMessage } from '../../ui/message.tsx'
import { ServerField } from './server-field.tsx'
import { parseServerUrl } from './server-url.ts'
import { WaitingForBrowser } from './waiting-for-browser.tsx'

export function SignInScreen() {
  const signInUrl = useApp((state) => state.signInUrl)
  const [isWanted, setIsWanted] = useState(false)
  // A daemon may still hold yesterday's page: it is shown once somebody asks for it here.
  if (signInUrl !== '' && isWanted) return <WaitingForBrowser url={signInUrl} onCancel={() => setIsWanted(false)} />
  return <SignInForm isWaiting={isWanted} onBrowser={setIsWanted} />
}

function SignInForm({ isWaiting, onBrowser }: { isWaiting: boolean; onBrowser: (isWanted: boolean) => void }) {
  const { t } = useText()
  const knownServer = useApp((state) => state.controlUrl)
  const problem = useApp((state) => state.problem)
  const [server, setServer] = useState(knownServer)
  const [key, setKey] = useState('')
  const [isShown, setIsShown] = useState(false)
  const [isShowingErrors, setIsShowingErrors] = useState(false)
  const browser = useCommand('signIn.browser')
  const join = useCommand('signIn.key')
  const parsed = parseServerUrl(server)
  const isAsking = browser.isPending || isWaiting
  const failure = browser.error ?? join.error

  const byBrowser = () => {
    setIsShowingErrors(true)
    if (!parsed.ok) return
    join.reset()
    onBrowser(true)
    browser.mutate({ controlUrl: parsed.url }, { onError: () => onBrowser(false) })
  }
  const byKey = (event: FormEvent) => {
    event.preventDefault()
    setIsShowingErrors(true)
    if (!parsed.ok || key.trim() === '') return
    browser.reset()
    join.mutate({ controlUrl: parsed.url, key: key.trim() }, { onSuccess: () => setKey('') })
  }

  return (
    <div className="center-screen">
      <form className="card sign-in" onSubmit={byKey}>
        <header>
          <Mark size={36} />
          <h1>{t('signIn.title')}</h1>
          <p className="muted">{t('signIn.text')}</p>
        </header>
        {failure !== null ? <ErrorMessage error={failure} /> : problem !== null && <ProblemMessage problem={problem} />}
        <ServerField value={server} isShowingErrors={isShowingErrors} onChange={setServer} />
        <Button className="button primary large" isDisabled={isAsking || join.isPending} onPress={byBrowser}>
          <Icon name="globe" />
          {isAsking ? t('signIn.asking') : t('signIn.browser')}
        </Button>
        <p className="or">
          <span>{t('signIn.or')}</span>
        </p>
        <TextField
          className="field"
          value={key}
          onChange={setKey}
          type={isShown ? 'text' : 'password'}
          isInvalid={join.isIdle && isShowingErrors && key === '' && !isAsking && browser.isIdle}
          validationBehavior="aria"
          autoComplete="off"
        >
          <Label>{t('signIn.key')}</Label>
          <div className="with-button">
            <Input className="mono" spellCheck="false" />
            <Button
              className="icon-button"
              aria-label={isShown ? t('signIn.keyHide') : t('signIn.keyShow')}
              onPress={() => setIsShown(!isShown)}
            >
              <Icon name="eye" />
            </Button>
          </div>
          <Text slot="description" className="hint">
            {t('signIn.keyHint')}
          </Text>
          <FieldError>{t('signIn.keyEmpty')}</FieldError>
        </TextField>
        <Button className="button large" type="submit" isDisabled={join.isPending || isAsking}>
          <Icon name="key" />
          {join.isPending ? t('signIn.joining') : t('signIn.keyJoin')}
        </Button>
      </form>
    </div>
  )
}
