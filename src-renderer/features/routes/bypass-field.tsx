/** Adding to the bypass: the kind follows what is typed, and what is wrong is said while one types. */
import { useState } from 'react'
import {
  Button,
  FieldError,
  Form,
  Input,
  Label,
  Text,
  TextField,
  ToggleButton,
  ToggleButtonGroup,
} from 'react-aria-components'
import type { BypassSetting } from '../../../src-contract/localapi/bypass.ts'
import { useText } from '../../text/i18n.ts'
import { type BypassKind, bypassKinds, guessKind, hasEntry, judge, withEntry } from './bypass-entry.ts'
import { useEdit, useEdits } from './edits.ts'

export function BypassField({ setting }: { setting: BypassSetting }) {
  const { t } = useText()
  const [kind, setKind] = useState<BypassKind>('Prefixes')
  const [typed, setTyped] = useState('')
  const { submit } = useEdit()
  const isRunning = useEdits((store) => store.isRunning)
  const judged = judge(kind, typed)
  const isThere = judged.kind === 'entry' && hasEntry(setting, kind, judged.value)
  const problem =
    judged.kind === 'invalid' ? t(`bypassInvalid.${judged.why}`) : isThere ? t('bypass.already') : undefined
  const add = async () => {
    if (judged.kind !== 'entry' || isThere) return
    if (await submit({ kind: 'bypass', setting: withEntry(setting, kind, judged.value) })) setTyped('')
  }
  return (
    <Form
      className="bypass-field"
      onSubmit={(event) => {
        event.preventDefault()
        void add()
      }}
    >
      <ToggleButtonGroup
        className="choices"
        aria-label={t('bypass.kind')}
        selectionMode="single"
        disallowEmptySelection
        selectedKeys={[kind]}
        onSelectionChange={(keys) => setKind(bypassKinds.find((one) => keys.has(one)) ?? 'Prefixes')}
      >
        {bypassKinds.map((one) => (
          <ToggleButton key={one} id={one} className="choice">
            {t(`bypassKind.${one}`)}
          </ToggleButton>
        ))}
      </ToggleButtonGroup>
      <TextField
        className="field"
        value={typed}
        isInvalid={problem !== undefined}
        onChange={(text) => {
          setTyped(text)
          setKind(guessKind(kind, text))
        }}
      >
        <Label>{t(`bypassKind.${kind}`)}</Label>
        <div className="with-add">
          <Input className="mono" spellCheck={false} autoComplete="off" maxLength={255} />
          <Button className="button" type="submit" isDisabled={isRunning || judged.kind !== 'entry' || isThere}>
            {t('bypass.add')}
          </Button>
        </div>
        {problem === undefined && (
          <Text slot="description" className="hint">
            {t(`bypassHint.${kind}`)}
          </Text>
        )}
        <FieldError>{problem}</FieldError>
      </TextField>
    </Form>
  )
}
