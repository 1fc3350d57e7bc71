/** Our own line icons, 16 px on a 16 grid. Decorative: the words are beside them or in the button's label. */
import type { ReactNode } from 'react'

const shapes = {
  devices: (
    <>
      <rect x="1.75" y="2.75" width="12.5" height="8" rx="1.5" />
      <path d="M5.5 13.5h5M8 10.75v2.75" />
    </>
  ),
  'this-device': (
    <>
      <rect x="3.25" y="3" width="9.5" height="7" rx="1.25" />
      <path d="M1.5 12.75h13" />
    </>
  ),
  settings: (
    <>
      <path d="M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6" />
      <circle cx="10" cy="4.5" r="1.9" />
      <circle cx="6" cy="11.5" r="1.9" />
    </>
  ),
  search: (
    <>
      <circle cx="7" cy="7" r="4.25" />
      <path d="m10.25 10.25 3.5 3.5" />
    </>
  ),
  routes: (
    <>
      <circle cx="3.5" cy="12" r="1.75" />
      <circle cx="12.5" cy="4" r="1.75" />
      <path d="M5.25 12H10a2 2 0 0 0 2-2V5.75" />
    </>
  ),
  chevron: <path d="m6 3.75 4.25 4.25L6 12.25" />,
  close: <path d="m4 4 8 8M12 4l-8 8" />,
  copy: (
    <>
      <rect x="5.75" y="5.75" width="7.5" height="7.5" rx="1.5" />
      <path d="M3.5 10.25h-.25a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1h6a1 1 0 0 1 1 1v.25" />
    </>
  ),
  check: <path d="m3.25 8.5 3.25 3.25 6.25-7" />,
  warning: (
    <>
      <path d="M8 2.25 14.25 13H1.75z" />
      <path d="M8 6.5v3M8 11.2v.1" />
    </>
  ),
  info: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="M8 7.25v3.5M8 5.1v.1" />
    </>
  ),
  power: (
    <>
      <path d="M8 1.75v6" />
      <path d="M4.6 4a5.25 5.25 0 1 0 6.8 0" />
    </>
  ),
  key: (
    <>
      <circle cx="5" cy="11" r="2.75" />
      <path d="m7 9 6-6M10.5 5.5l2 2" />
    </>
  ),
  clock: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="M8 4.5V8l2.5 1.5" />
    </>
  ),
  globe: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="M2 8h12M8 2c2 1.7 2.75 3.8 2.75 6S10 12.3 8 14C6 12.3 5.25 10.2 5.25 8S6 3.7 8 2Z" />
    </>
  ),
  eye: (
    <>
      <path d="M1.5 8S4 3.75 8 3.75 14.5 8 14.5 8 12 12.25 8 12.25 1.5 8 1.5 8Z" />
      <circle cx="8" cy="8" r="1.75" />
    </>
  ),
  'exit-node': <path d="M6.5 2.75h-3v10.5h3M7 8h7M11.25 5.25 14 8l-2.75 2.75" />,
  pulse: <path d="M1.5 8.5h3l2-5 3 9 2-4h3" />,
  service: (
    <>
      <rect x="2" y="2.5" width="12" height="4.5" rx="1.25" />
      <rect x="2" y="9" width="12" height="4.5" rx="1.25" />
      <path d="M4.75 4.75v.1M4.75 11.25v.1" />
    </>
  ),
} satisfies Record<string, ReactNode>
export type IconName = keyof typeof shapes

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      aria-hidden="true"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth={size > 24 ? 1 : 1.4}
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {shapes[name]}
    </svg>
  )
}

/** The mark: three devices that know each other. */
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg aria-hidden="true" width={size} height={size} viewBox="0 0 32 32" className="mark">
      <path d="M16 7 6.5 24h19Z" fill="none" stroke="currentColor" strokeWidth="2.5" strokeLinejoin="round" />
      <circle cx="16" cy="7.5" r="4.5" />
      <circle cx="6.5" cy="24" r="4.5" />
      <circle cx="25.5" cy="24" r="4.5" />
    </svg>
  )
}
