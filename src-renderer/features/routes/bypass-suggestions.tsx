/** Networks of other VPNs that an exit node swallows: one question each, with the answer that keeps them. */
import { Button } from 'react-aria-components'
import type { BypassView } from '../../../src-contract/app/network.ts'
import { useText } from '../../text/i18n.ts'
import { Message } from '../../ui/message.tsx'
import { withEntry } from './bypass-entry.ts'
import { useEdit, useEdits } from './edits.ts'

const SHOWN_PREFIXES = 3

export function BypassSuggestions({ bypass }: { bypass: BypassView }) {
  const { t } = useText()
  const { submit } = useEdit()
  const isRunning = useEdits((store) => store.isRunning)
  return bypass.suggestions.map(({ interface: name, prefixes }) => {
    const shown = prefixes.slice(0, SHOWN_PREFIXES).join(', ')
    const hidden = prefixes.length - SHOWN_PREFIXES
    const list = hidden > 0 ? t('bypass.moreNetworks', { list: shown, count: hidden }) : shown
    return (
      <Message key={name} kind="info">
        <p>{t('bypass.suggestion', { name, prefixes: list })}</p>
        <div className="message-actions">
          <Button
            className="button"
            aria-label={t('bypass.acceptLabel', { name })}
            isDisabled={isRunning}
            onPress={() => void submit({ kind: 'bypass', setting: withEntry(bypass.setting, 'Interfaces', name) })}
          >
            {t('bypass.accept')}
          </Button>
        </div>
      </Message>
    )
  })
}
