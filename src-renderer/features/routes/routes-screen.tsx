/** Where does traffic go: explain, networks behind other devices, what goes past the exit node. `ux.md` 2.9. */
import { useText } from '../../text/i18n.ts'
import { ErrorMessage, ProblemMessage } from '../../ui/message.tsx'
import { BypassCard } from './bypass-card.tsx'
import { useEdits, useNetwork } from './edits.ts'
import { ExplainCard } from './explain-card.tsx'
import { SubnetsCard } from './subnets-card.tsx'

export default function RoutesScreen() {
  const { t } = useText()
  const { network, error } = useNetwork()
  const problem = useEdits((store) => store.problem)
  return (
    <div className="page routes-page">
      <h1>{t('routes.title')}</h1>
      {problem !== undefined && <ProblemMessage problem={problem} />}
      <ErrorMessage error={error} />
      <ExplainCard />
      {network !== undefined && (
        <>
          <SubnetsCard routes={network.routes} />
          <BypassCard bypass={network.bypass} />
        </>
      )}
    </div>
  )
}
