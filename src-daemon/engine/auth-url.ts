/**
 * Whether a sign-in page that a server sent may be shown to a person: https, or http where the server itself is reached
 * that way. Pure.
 */
export function checkAuthUrl(text: string, controlUrl: string): string | undefined {
  if (text.length > 4096 || !URL.canParse(text)) return undefined
  const url = new URL(text)
  const control = URL.canParse(controlUrl) ? new URL(controlUrl) : undefined
  if (url.protocol === 'https:') return isForeignToHosted(url, control) ? undefined : text
  return url.protocol === 'http:' && control?.protocol === 'http:' ? text : undefined
}

/** The hosted service signs people in on its own domain only. */
function isForeignToHosted(url: URL, control: URL | undefined): boolean {
  const isHosted = control === undefined || /(^|\.)tailscale\.com$/.test(control.hostname)
  return isHosted && !/(^|\.)tailscale\.com$/.test(url.hostname)
}
