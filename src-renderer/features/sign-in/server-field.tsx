/** The address of any server; empty means the daemon's own default. */
import { FieldError, Input, Label, Text, TextField } from 'react-aria-components'
import { useText } from '../../text/i18n.ts'
import { parseServerUrl } from './server-url.ts'

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
