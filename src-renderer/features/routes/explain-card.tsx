/** "Where does traffic go?": an address, network or name in; the way and its reason out, the losing ways too. */
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { Button, Disclosure, DisclosurePanel, Form, Heading, Input, Label, TextField } from 'react-aria-components'
import type { ExplainedTarget } from '../../../src-contract/app/network.ts'
import { call } from '../../daemon/bridge.ts'
import { useText } from '../../text/i18n.ts'
import { Icon } from '../../ui/icons.tsx'
import { ErrorMessage } from '../../ui/message.tsx'

const MAX_TARGETS = 8

export function ExplainCard() {
  const { t } = useText()
  const [to, setTo] = useState('')
  const asked = useMutation({ mutationFn: (text: string) => call('route.explain', { to: text }) })
  const ask = () => {
    const text = to.trim()
    if (text !== '' && !asked.isPending) asked.mutate(text)
  }
  return (
    <section className="card" aria-labelledby="explain">
      <h2 id="explain">{t('explain.title')}</h2>
      <Form
        onSubmit={(event) => {
          event.preventDefault()
          ask()
        }}
      >
        <TextField className="field" value={to} onChange={setTo}>
          <Label>{t('explain.hint')}</Label>
          <div className="with-add">
            <Input className="mono" placeholder="10.8.4.2" spellCheck={false} autoComplete="off" maxLength={255} />
            <Button className="button" type="submit" isDisabled={to.trim() === '' || asked.isPending}>
              {t('explain.ask')}
            </Button>
          </div>
        </TextField>
      </Form>
      <div role="status" aria-live="polite" className="explained">
        {asked.isPending && <p className="muted">{t('explain.asking')}</p>}
        {asked.data === null && <p className="muted">{t('explain.unavailable')}</p>}
        {asked.data && (
          <>
            {asked.data.names !== '' && <p className="selectable">{asked.data.names}</p>}
            {asked.data.targets.slice(0, MAX_TARGETS).map((target) => (
              <Target key={`${target.address} ${target.sentence}`} target={target} />
            ))}
            {asked.data.problems.map((problem) => (
              <p key={problem} className="relay-word selectable">
                {problem}
              </p>
            ))}
          </>
        )}
      </div>
      <ErrorMessage error={asked.error} />
    </section>
  )
}

function Target({ target: { verdict, sentence, steps, losers, notes } }: { target: ExplainedTarget }) {
  const { t } = useText()
  return (
    <div className="explained-target">
      <p className={verdict === 'blocked' || verdict === 'unreachable' ? 'verdict bad-word' : 'verdict'}>
        {t(`verdict.${verdict}`)}
      </p>
      <p className="selectable">{sentence}</p>
      <Disclosure className="disclosure">
        <Heading level={3}>
          <Button slot="trigger" className="button link">
            <Icon name="chevron" />
            {t('explain.why')}
          </Button>
        </Heading>
        <DisclosurePanel>
          <ol className="steps">
            {steps.map((step) => (
              <li key={`${step.priority} ${step.rule}`} className={step.won ? 'step won' : 'step'}>
                <span className="mono">{step.priority}</span>
                <span className="selectable">
                  <strong>{step.name}</strong>
                  {step.won && <span className="in-use">{t('explain.won')}</span>}
                  <span className="hint">{step.why}</span>
                </span>
              </li>
            ))}
          </ol>
          {losers.length > 0 && <h4>{t('explain.losers')}</h4>}
          <ul className="plain-list">
            {losers.map((loser) => (
              <li key={`${loser.name} ${loser.prefix} ${loser.why}`} className="selectable">
                {loser.name} <bdi className="mono">{loser.prefix}</bdi> <span className="hint">{loser.why}</span>
              </li>
            ))}
          </ul>
          {notes.length > 0 && <h4>{t('explain.notes')}</h4>}
          <ul className="plain-list">
            {notes.map((note) => (
              <li key={note} className="hint selectable">
                {note}
              </li>
            ))}
          </ul>
        </DisclosurePanel>
      </Disclosure>
    </div>
  )
}
