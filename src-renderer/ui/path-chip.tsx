/** The path alphabet: one silhouette per kind, always with its word. `ux.md` 3.4. */
import type { DevicePath, DevicePathKind } from '../../src-contract/app/app-state.ts'
import { useText } from '../text/i18n.ts'

export function PathGlyph({ kind }: { kind: DevicePathKind }) {
  return (
    <svg aria-hidden="true" width="22" height="12" viewBox="0 0 22 12" className={`path-glyph ${kind}`}>
      {kind === 'direct' && <path d="M2 6h18" />}
      {kind === 'relay' && (
        <>
          <path d="M1 6h6M15 6h6" />
          <circle cx="11" cy="6" r="3.6" className="solid" />
        </>
      )}
      {kind === 'peer-relay' && (
        <>
          <path d="M1 6h5M16 6h5" />
          <path d="M11 1.4 15.6 6 11 10.6 6.4 6Z" className="solid" />
        </>
      )}
      {kind === 'idle' && <path d="M2 6h18" strokeDasharray="3 3.6" />}
      {kind === 'offline' && <circle cx="11" cy="6" r="4" strokeDasharray="2 2.2" />}
    </svg>
  )
}

export function PathChip({ path }: { path: DevicePath }) {
  const { path: word, latency } = useText()
  return (
    <span className={`path-chip ${path.kind}`}>
      <PathGlyph kind={path.kind} />
      <span className="word">{word(path)}</span>
      {path.latencyMs !== null && <span className="latency">{latency(path.latencyMs)}</span>}
    </span>
  )
}
