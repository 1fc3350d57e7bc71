/** What does not take the exit node: the list, what of it is missing or in effect, and what other VPNs suggest. */
import { Button, Disclosure, DisclosurePanel, Heading } from 'react-aria-components'
import type { BypassView } from '../../../src-contract/app/network.ts'
import { useApp } from '../../daemon/mirror.ts'
import { useText } from '../../text/i18n.ts'
import { Icon } from '../../ui/icons.tsx'
import { bypassKinds, isMissing, withoutEntry } from './bypass-entry.ts'
import { BypassField } from './bypass-field.tsx'
import { BypassSuggestions } from './bypass-suggestions.tsx'
import { useEdit, useEdits } from './edits.ts'

export function BypassCard({ bypass }: { bypass: BypassView | null }) {
  const { t } = useText()
  const isExitInUse = useApp((state) => state.exit.now.kind !== 'off')
  return (
    <section className="card" aria-labelledby="bypass">
      <header className="card-head">
        <h2 id="bypass">{t('bypass.title')}</h2>
        <p className="hint">{t('bypass.text')}</p>
      </header>
      {bypass === null ? (
        <p className="muted">{t('routes.unavailable')}</p>
      ) : (
        <>
          <BypassSuggestions bypass={bypass} />
          <Entries bypass={bypass} />
          <BypassField setting={bypass.setting} />
          {isExitInUse ? <InEffect bypass={bypass} /> : <p className="hint">{t('bypass.unused')}</p>}
        </>
      )}
    </section>
  )
}

function Entries({ bypass: { setting, missing } }: { bypass: BypassView }) {
  const { t } = useText()
  const { submit } = useEdit()
  const isRunning = useEdits((store) => store.isRunning)
  const entries = bypassKinds.flatMap((kind) => setting[kind].map((value) => ({ kind, value })))
  if (entries.length === 0) return <p className="muted">{t('bypass.empty')}</p>
  return (
    <ul className="route-list">
      {entries.map(({ kind, value }) => (
        <li key={`${kind} ${value}`} className="route-row">
          <div className="names">
            <bdi className="mono name">{value}</bdi>
            <span className="hint">{t(`bypassKind.${kind}`)}</span>
          </div>
          {isMissing(missing, kind, value) && <span className="route-state relay-word">{t('bypass.missing')}</span>}
          <Button
            className="icon-button"
            aria-label={t('bypass.remove', { entry: value })}
            isDisabled={isRunning}
            onPress={() => void submit({ kind: 'bypass', setting: withoutEntry(setting, kind, value) })}
          >
            <Icon name="close" />
          </Button>
        </li>
      ))}
    </ul>
  )
}

function InEffect({ bypass: { inEffect } }: { bypass: BypassView }) {
  const { t } = useText()
  if (inEffect.length === 0) return <p className="hint">{t('bypass.inEffectNone')}</p>
  return (
    <Disclosure className="disclosure">
      <Heading level={3}>
        <Button slot="trigger" className="button link">
          <Icon name="chevron" />
          {t('bypass.inEffect', { count: inEffect.length })}
        </Button>
      </Heading>
      <DisclosurePanel>
        <ul className="plain-list">
          {inEffect.map(({ prefix, from }) => (
            <li key={`${prefix} ${from}`} className="effect">
              <bdi className="mono selectable">{prefix}</bdi>
              <bdi className="hint">{from === 'setting' ? t('bypass.fromSetting') : from}</bdi>
            </li>
          ))}
        </ul>
      </DisclosurePanel>
    </Disclosure>
  )
}
