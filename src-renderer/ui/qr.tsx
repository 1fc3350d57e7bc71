/** A link as a square code, drawn by us: one path, no markup from a library. */
import { create } from 'qrcode'

export default function Qr({ text, label }: { text: string; label: string }) {
  const { modules } = create(text, { errorCorrectionLevel: 'M' })
  const dark = Array.from({ length: modules.size * modules.size }, (_, at) => at).filter((at) => modules.data[at])
  const path = dark.map((at) => `M${at % modules.size} ${Math.floor(at / modules.size)}h1v1h-1z`).join('')
  return (
    <svg role="img" aria-label={label} className="qr" viewBox={`-3 -3 ${modules.size + 6} ${modules.size + 6}`}>
      <rect x="-3" y="-3" width="100%" height="100%" fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  )
}
