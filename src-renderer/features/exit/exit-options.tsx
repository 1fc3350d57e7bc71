/** What holds for any exit node: the local network, and what happens when it fails. */
import { Label, Radio, RadioGroup, Switch } from 'react-aria-components'
import { useCommand } from '../../daemon/commands.ts'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { ErrorMessage } from '../../ui/message.tsx'

export function ExitOptions() {
  const { t } = useText()
  const { now, allowLan, takesOver } = useApp((state) => state.exit)
  const lan = useCommand('exit.allowLan')
  const takeOver = useCommand('exit.takeOver')
  // Without the automatic nobody would be chosen, and everything would leave uncovered.
  const hasChoice = now.kind !== 'off' && now.id !== ''
  return (
    <section className="card exit-options">
      <div className="setting">
        <div className="setting-text">
          <span id="allow-lan">{t('exit.allowLan')}</span>
          <p className="hint">{t('exit.allowLanHint')}</p>
        </div>
        <Switch
          className="switch"
          aria-labelledby="allow-lan"
          isSelected={lan.isPending ? lan.variables.on : allowLan}
          isDisabled={lan.isPending}
          onChange={(on) => lan.mutate({ on })}
        >
          <span className="track" />
        </Switch>
      </div>
      {now.kind !== 'off' && (
        <RadioGroup
          className="setting"
          orientation="horizontal"
          value={takesOver ? 'other' : 'block'}
          isDisabled={takeOver.isPending}
          onChange={(choice) => takeOver.mutate({ on: choice === 'other' })}
        >
          <div className="setting-text">
            <Label>{t('exit.ifItFails')}</Label>
            <p className="hint">{t('exit.failHint')}</p>
          </div>
          <div className="choices">
            <Radio value="block" className="choice" isDisabled={!hasChoice}>
              {t('exit.failBlock')}
            </Radio>
            <Radio value="other" className="choice">
              {t('exit.failOther')}
            </Radio>
          </div>
        </RadioGroup>
      )}
      <ErrorMessage error={lan.error ?? takeOver.error} />
    </section>
  )
}
