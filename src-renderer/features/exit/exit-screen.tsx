/** Exit node: what is in use and what happens when it fails on top, the picker below. `ux.md` 2.8. */
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { ProblemMessage } from '../../ui/message.tsx'
import { BypassSuggestions } from '../routes/bypass-suggestions.tsx'
import { useEdits, useNetwork } from '../routes/edits.ts'
import { ExitNowCard } from './exit-now-card.tsx'
import { ExitOptions } from './exit-options.tsx'
import { ExitPicker } from './exit-picker.tsx'
import { SwitchResult } from './switch-result.tsx'

export default function ExitScreen() {
  const { t } = useText()
  const hasNodes = useApp((state) => state.exitNodes.length > 0)
  const isInUse = useApp((state) => state.exit.now.kind !== 'off')
  return (
    <div className="page exit-page">
      <h1>{t('exit.title')}</h1>
      <ExitNowCard />
      <SwitchResult />
      {isInUse && <Swallowed />}
      {(hasNodes || isInUse) && <ExitOptions />}
      {hasNodes ? (
        <ExitPicker />
      ) : (
        <section className="card">
          <h2>{t('exit.none')}</h2>
          <p className="muted">{t('exit.intro')}</p>
          <p className="hint selectable">{t('exit.noneHint')}</p>
        </section>
      )}
    </div>
  )
}

/** Asked where it hurts: the exit node has just taken the company's networks along. */
function Swallowed() {
  const { network } = useNetwork()
  const problem = useEdits((store) => store.problem)
  return (
    <>
      {problem !== undefined && <ProblemMessage problem={problem} />}
      {network?.bypass && <BypassSuggestions bypass={network.bypass} />}
    </>
  )
}
