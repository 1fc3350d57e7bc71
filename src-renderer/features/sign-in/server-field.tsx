/** The address of any server; empty means the daemon's own default. */
import { FieldError, Input, Label, Text, TextField } from 'react-aria-components'
import { useText } from '../../text/i18n.ts'

export type ServerUrl = { ok: true; url: string } | { ok: false }

/** Adds the scheme people leave out; refuses what cannot be a server. */
export function parseServerUrl(text: string): ServerUrl {
  const typed = text.trim()
  if (typed === '') return { ok: true, url: '' }
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `https://${typed}`
  if (!URL.canParse(full)) return { ok: false }
  const { protocol, origin, pathname, username, password, hostname } = new URL(full)
  if ((protocol !== 'https:' && protocol !== 'http:') || hostname === '' || username !== '' || password !== '')
    return { ok: false }
  return { ok: true, url: `${origin}${pathname === '/' ? '' : pathname}` }
}

interface ServerFieldProps {
  value: string
  isShowingErrors: boolean
  onChange: (value: string) => void
}

export function ServerField({ value, isShowingErrors, onChange }: ServerFieldProps) {
  const { t } = useText()
  const parsed = parseServerUrl(value)
  const isPlain = parsed.ok && parsed.url.startsWith('http:')
  return (
    <TextField
      className="field"
      value={value}
      onChange={onChange}
      isInvalid={isShowingErrors && !parsed.ok}
      validationBehavior="aria"
      autoComplete="off"
    >
      <Label>{t('signIn.server')}</Label>
      <Input type="text" inputMode="url" spellCheck="false" placeholder="https://control.example.org" />
      <Text slot="description" className={isPlain ? 'hint relay-word' : 'hint'}>
        {isPlain ? t('signIn.serverPlain') : t('signIn.serverHint')}
      </Text>
      <FieldError>{t('signIn.serverInvalid')}</FieldError>
    </TextField>
  )
}
