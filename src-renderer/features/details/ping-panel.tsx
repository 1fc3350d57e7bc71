/** Ping of one device: the button, the last answer in words, the recent ones as bars with a text twin. */
import { Button } from 'react-aria-components'
import { useText } from '../../text/i18n.ts'
import { Icon } from '../../ui/icons.tsx'
import { PathGlyph } from '../../ui/path-chip.tsx'
import { type PingEntry, usePing, usePings } from './ping.ts'

export function PingPanel({ id }: { id: string }) {
  const { t } = useText()
  const { entries, isRunning } = usePings(id)
  const ping = usePing()
  const last = entries.at(-1)
  return (
    <div className="ping-panel">
      <Button className="button" isDisabled={isRunning} onPress={() => ping.start(id)}>
        <Icon name="pulse" />
        {isRunning ? t('ping.running') : entries.length > 0 ? t('ping.again') : t('ping.action')}
      </Button>
      <div role="status" aria-live="polite" className="ping-last">
        {last !== undefined && <PingLine entry={last} />}
      </div>
      {entries.length > 1 && <PingBars entries={entries} />}
    </div>
  )
}

function PingLine({ entry }: { entry: PingEntry }) {
  const { t, latency, path } = useText()
  const { answer, problem } = entry
  if (answer === undefined) {
    const reason = problem?.code === 'timeout' ? t('ping.timeout') : problem?.message || t('ping.failed')
    return <p className="bad-word">{reason}</p>
  }
  const { kind } = answer.via
  return (
    <p className={`ping-answer ${kind}`}>
      {kind !== 'here' && kind !== 'unknown' && <PathGlyph kind={kind} />}
      <strong>{latency(answer.latencyMs)}</strong>
      <span className="muted">{path(answer.via)}</span>
    </p>
  )
}

function PingBars({ entries }: { entries: readonly PingEntry[] }) {
  const { t, latency, clock, path } = useText()
  const highest = Math.max(1, ...entries.map(({ answer }) => answer?.latencyMs ?? 0))
  return (
    <figure className="ping-bars" aria-label={t('ping.recent')}>
      <ol>
        {entries.map(({ atMs, answer }) => {
          const text = answer === undefined ? t('ping.failed') : `${latency(answer.latencyMs)} · ${path(answer.via)}`
          const height = answer === undefined ? 100 : Math.max(8, (answer.latencyMs / highest) * 100)
          return (
            <li key={atMs} className={answer?.via.kind ?? 'failed'} title={`${clock(atMs)}  ${text}`}>
              <span className="bar" style={{ height: `${height}%` }} />
              <span className="visually-hidden">{text}</span>
            </li>
          )
        })}
      </ol>
    </figure>
  )
}
