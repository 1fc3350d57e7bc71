/** What fills the place of the list while there is none: the service away, in use, waiting, connecting. */
import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useEffect, useState } from 'react'
import { Button } from 'react-aria-components'
import { call } from '../../daemon/bridge.ts'
import { useCommand } from '../../daemon/commands.ts'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Command } from '../../ui/copy.tsx'
import { Icon, type IconName } from '../../ui/icons.tsx'
import { ErrorMessage, ProblemMessage } from '../../ui/message.tsx'
import { Fact, Facts } from '../details/facts.tsx'

function StateCard({ icon, title, children }: { icon: IconName; title: string; children: ReactNode }) {
  return (
    <div className="center-screen">
      <div className="card state-card">
        <Icon name={icon} size={36} />
        <h1>{title}</h1>
        {children}
      </div>
    </div>
  )
}

export function ServiceAway() {
  const { t, clock } = useText()
  const daemon = useApp((state) => state.daemon)
  const problem = useApp((state) => state.problem)
  const plan = useQuery({
    queryKey: ['daemon.startPlan', daemon.socketPath],
    queryFn: () => call('daemon.startPlan', undefined),
  })
  const start = useCommand('daemon.start')
  const retry = useCommand('daemon.retry')
  const isDenied = problem?.code === 'access-denied'
  return (
    <StateCard icon="service" title={isDenied ? t('service.deniedTitle') : t('service.title')}>
      <p className="muted selectable">
        {isDenied ? t('service.deniedText') : t('service.text', { socket: daemon.socketPath })}
      </p>
      {problem !== null && problem.code !== 'daemon-unreachable' && <ProblemMessage problem={problem} />}
      {!isDenied && (
        <>
          <div className="actions">
            {plan.data?.canRun === true && (
              <Button
                className="button primary large"
                isDisabled={start.isPending}
                onPress={() => start.mutate(undefined)}
              >
                <Icon name="power" />
                {start.isPending ? t('service.starting') : t('service.start')}
              </Button>
            )}
            <Button className="button large" onPress={() => retry.mutate(undefined)}>
              {t('service.retry')}
            </Button>
          </div>
          <ErrorMessage error={start.error} />
          {plan.data !== undefined && (
            <div className="command-block">
              <p className="hint">{plan.data.canRun ? t('service.command') : t('service.commandOnly')}</p>
              <Command text={plan.data.command} />
            </div>
          )}
        </>
      )}
      {daemon.lostAt > 0 && <p className="hint">{t('service.lostAt', { time: clock(daemon.lostAt) })}</p>}
    </StateCard>
  )
}

export function InUseByOther() {
  const { t } = useText()
  const problem = useApp((state) => state.problem)
  return (
    <StateCard icon="service" title={t('inUse.title')}>
      <p className="muted">{t('inUse.text')}</p>
      {problem !== null && <ProblemMessage problem={problem} />}
    </StateCard>
  )
}

export function NeedsApproval() {
  const { t } = useText()
  const self = useApp((state) => state.self)
  const server = useApp((state) => state.controlUrl)
  return (
    <StateCard icon="clock" title={t('approval.title')}>
      <p className="muted">{t('approval.text', { server: hostOf(server) })}</p>
      {self !== null && (
        <Facts>
          <Fact name={t('approval.nodeKey')} value={self.publicKey} isMono canCopy />
        </Facts>
      )}
    </StateCard>
  )
}

/** After this people want a reason. */
const SLOW_AFTER_MS = 8000

export function Starting() {
  const { t } = useText()
  const server = useApp((state) => state.controlUrl)
  const isLinked = useApp((state) => state.daemon.link === 'connected')
  const problem = useApp((state) => state.problem)
  const [isSlow, setIsSlow] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setIsSlow(true), SLOW_AFTER_MS)
    return () => clearTimeout(timer)
  }, [])
  return (
    <StateCard icon="pulse" title={t('starting.title')}>
      <p className="muted" role="status">
        {!isLinked
          ? t('starting.daemon')
          : isSlow
            ? t('starting.slow', { server: hostOf(server) })
            : t('starting.text')}
      </p>
      {problem !== null && <ProblemMessage problem={problem} />}
    </StateCard>
  )
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url
}
