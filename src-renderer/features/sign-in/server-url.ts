/** What people type for a server → the address to use; empty means the daemon's own default. */
export type ServerUrl = { ok: true; url: string } | { ok: false }

/** Adds the scheme people leave out; refuses what cannot be a server. */
export function parseServerUrl(text: string): ServerUrl {
  const typed = text.trim()
  if (typed === '') return { ok: true, url: '' }
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `https://${typed}`
  if (!URL.canParse(full)) return { ok: false }
  const { protocol, origin, pathname, username, password, hostname } = new URL(full)
  if ((protocol !== 'https:' && protocol !== 'http:') || hostname === '' || username !== '' || password !== '')
    return { ok: false }
  return { ok: true, url: `${origin}${pathname === '/' ? '' : pathname}` }
}
