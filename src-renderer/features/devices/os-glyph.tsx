/** What kind of machine: a neutral silhouette, no logos; the dot says whether it is there. */
import type { ReactNode } from 'react'

const phone = (
  <>
    <rect x="6.5" y="2.5" width="7" height="15" rx="1.75" />
    <path d="M9.25 15h1.5" />
  </>
)
const laptop = (
  <>
    <rect x="4" y="4" width="12" height="8.5" rx="1.5" />
    <path d="M2 15.5h16" />
  </>
)
const server = (
  <>
    <rect x="3.5" y="3.5" width="13" height="5" rx="1.25" />
    <rect x="3.5" y="11.5" width="13" height="5" rx="1.25" />
    <path d="M6.25 6v.1M6.25 14v.1" />
  </>
)
const screen = (
  <>
    <rect x="2.5" y="3.5" width="15" height="9.5" rx="1.5" />
    <path d="M7 16.5h6M10 13v3.5" />
  </>
)

function shapeFor(os: string): ReactNode {
  switch (os.toLowerCase()) {
    case 'ios':
    case 'android':
      return phone
    case 'macos':
    case 'windows':
      return laptop
    case 'tvos':
      return screen
    default:
      return server
  }
}

export function OsGlyph({ os, isOnline }: { os: string; isOnline: boolean }) {
  return (
    <span className={isOnline ? 'os-glyph online' : 'os-glyph'}>
      <svg
        aria-hidden="true"
        width="20"
        height="20"
        viewBox="0 0 20 20"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.4"
        strokeLinecap="round"
        strokeLinejoin="round"
      >
        {shapeFor(os)}
      </svg>
    </span>
  )
}
