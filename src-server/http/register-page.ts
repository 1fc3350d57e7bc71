/**
 * The page behind a login link: says which computer asks and what an administrator types to let it in. Plain HTML without
 * scripts; all that comes from the computer is escaped.
 */
import { createHash } from 'node:crypto'
import type { PendingLogin } from '../control/pending-logins.ts'

const STYLE = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:42rem;margin:12vh auto;padding:0 1.25rem}
h1{font-size:1.5rem}code{display:block;padding:.75rem 1rem;border:1px solid;border-radius:.5rem;overflow-x:auto;white-space:pre;user-select:all}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}dt{opacity:.7}dd{margin:0;overflow-wrap:anywhere}`

export const pageHeaders = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'X-Frame-Options': 'DENY',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
} as const

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}

function page(title: string, body: string): string {
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${STYLE}</style></head>\n<body>\n<h1>${title}</h1>\n${body}\n</body></html>\n`
}

export function pendingPage(login: PendingLogin): string {
  const { Hostname, OS } = login.hostinfo
  const row = (name: string, value: unknown) =>
    typeof value === 'string' && value !== '' ? `<dt>${name}</dt><dd>${escapeHtml(value.slice(0, 200))}</dd>` : ''
  return page(
    'Waiting for approval',
    `<dl>${row('Computer', Hostname)}${row('System', OS)}${row('Machine key', login.machineKey)}</dl>
<p>An administrator of this network lets the computer in by running this on the server, with the name of the user it belongs to:</p>
<code>pintail-control nodes register --id ${login.id} --user USERNAME</code>
<p>This page shows when that is done. The link is valid for 15 minutes.</p>`,
  )
}

export function approvedPage(): string {
  return page('Connected', '<p>This computer is now part of the network. You can close this page.</p>')
}

export function unknownPage(): string {
  return page(
    'This link is no longer valid',
    '<p>Login links are valid for 15 minutes and for one login. Go back to the computer and sign in again.</p>',
  )
}
