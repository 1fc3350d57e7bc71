/** The switch and the state in words. While a command runs it shows where it is going; the mirror has the last word. */
import { Switch } from 'react-aria-components'
import { switchAction } from '../../../src-contract/app/app-state.ts'
import { problemOf } from '../../daemon/bridge.ts'
import { useCommand } from '../../daemon/commands.ts'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { announce } from '../../ui/announce.tsx'

export function ConnectSwitch() {
  const { t } = useText()
  const phase = useApp((state) => state.phase)
  const wantRunning = useApp((state) => state.wantRunning)
  const exit = useApp((state) => state.exit.now)
  const command = useCommand('connection.set')
  const action = switchAction(phase, wantRunning)
  const isOn = action !== undefined && !action.on
  const goal = command.isPending ? command.variables.on : isOn
  const isOnExit = phase === 'on-exit-node' && exit.kind === 'on'
  const phaseWords = isOnExit ? t('exit.onVia', { name: exit.name }) : t(`phase.${phase}`)
  const words = command.isPending && goal !== isOn ? t(goal ? 'switch.turningOn' : 'switch.turningOff') : phaseWords
  return (
    <div className={`connect ${phase}`}>
      <Switch
        className="switch"
        aria-label={t('switch.label')}
        isSelected={goal}
        isDisabled={action === undefined || command.isPending}
        onChange={(on) =>
          command.mutate(
            { on },
            {
              onError: (error) => {
                const { code, message } = problemOf(error)
                announce(code === 'daemon' ? message : t(`problem.${code === 'server' ? 'failed' : code}`))
              },
            },
          )
        }
      >
        <span className="track" />
      </Switch>
      <p className="state-word" role="status" aria-live="polite">
        {words}
      </p>
    </div>
  )
}
