/** After a switch: its progress, then line by line what is really known, and the way back. */
import { Button } from 'react-aria-components'
import type { ExitCheck } from '../../../src-contract/app/exit.ts'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Icon } from '../../ui/icons.tsx'
import { ProblemMessage } from '../../ui/message.tsx'
import { forgetSwitch, switchExit, useSwitching } from './switching.ts'

export function SwitchResult() {
  const { t } = useText()
  const switching = useSwitching((store) => store.switching)
  const now = useApp((state) => state.exit.now)
  if (switching === undefined) return null
  const { name, back, step, problem, check } = switching
  // What answered then is away now: its own message says so.
  if (now.kind === 'blocked' && check?.node.kind === 'answered') return null
  const title =
    step === 'switching'
      ? name === ''
        ? t('exit.switchingOff')
        : t('exit.switchingTo', { name })
      : now.kind === 'off'
        ? t('exit.checkTitleOff')
        : t('exit.checkTitle', { name: now.name || name })
  return (
    <section className="card switch-result">
      {step === 'failed' && problem !== undefined ? (
        <ProblemMessage problem={problem} />
      ) : (
        <div role="status" aria-live="polite" className="switch-lines">
          <h2>{title}</h2>
          {step !== 'switching' && <Lines check={check} name={now.kind === 'off' ? '' : now.name || name} />}
        </div>
      )}
      <div className="actions">
        <Button className="button" onPress={() => void switchExit(back.choice, back.name, now)}>
          {t('exit.undo')}
        </Button>
        <Button className="button" onPress={forgetSwitch}>
          {t('exit.dismiss')}
        </Button>
      </div>
    </section>
  )
}

type Mark = 'good' | 'bad' | 'unknown'

function Lines({ check, name }: { check: ExitCheck | undefined; name: string }) {
  const { t, latency } = useText()
  if (check === undefined) return <p className="muted">{t('exit.checking')}</p>
  const node = nodeLine(check.node)
  return (
    <ul className="check-lines">
      {name !== '' && (
        <Line mark={node}>
          {check.node.kind === 'answered'
            ? t('exit.checkNodeOk', { name, latency: latency(check.node.latencyMs) })
            : check.node.kind === 'silent'
              ? t('exit.checkNodeBad', { name, reason: check.node.message })
              : t('exit.checkNodeUnknown')}
        </Line>
      )}
      <Line mark={nodeLine(check.names)}>
        {check.names.kind === 'answered'
          ? t('exit.checkNamesOk')
          : check.names.kind === 'silent'
            ? t('exit.checkNamesBad', { reason: check.names.message })
            : t('exit.checkNamesUnknown')}
      </Line>
      {check.health.length === 0 ? (
        <Line mark="good">{t('exit.checkHealthOk')}</Line>
      ) : (
        check.health.map((text) => (
          <Line key={text} mark="bad">
            {text}
          </Line>
        ))
      )}
    </ul>
  )
}

function nodeLine({ kind }: ExitCheck['node'] | ExitCheck['names']): Mark {
  return kind === 'answered' ? 'good' : kind === 'silent' ? 'bad' : 'unknown'
}

const icons = { good: 'check', bad: 'warning', unknown: 'info' } as const

function Line({ mark, children }: { mark: Mark; children: string }) {
  return (
    <li className={`check-line ${mark}`}>
      <Icon name={icons[mark]} />
      <span className="selectable">{children}</span>
    </li>
  )
}
