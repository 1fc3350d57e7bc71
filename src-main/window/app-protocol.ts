/**
 * `app://pintail/…`: the window's only origin. Serves files of one folder, from memory of names rather than from paths
 * that a page makes up, under a policy that lets nothing else load.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { extname, join, sep } from 'node:path'
import { protocol } from 'electron'

export const APP_ORIGIN = 'app://pintail'
export const APP_PAGE = `${APP_ORIGIN}/index.html`
/** Stands in the built page where each load gets its own nonce. */
const NONCE_PLACEHOLDER = '__CSP_NONCE__'

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
}

/** Before `app.ready`. */
export function registerAppScheme(): void {
  protocol.registerSchemesAsPrivileged([
    { scheme: 'app', privileges: { standard: true, secure: true, codeCache: true } },
  ])
}

export function contentSecurityPolicy(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ')
}

export function serveApp(folder: string): void {
  const files = new Set(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length).replaceAll(sep, '/')),
  )
  protocol.handle('app', async (request) => {
    const url = new URL(request.url)
    if (url.host !== 'pintail' || request.method !== 'GET' || !files.has(url.pathname))
      return new Response('not found', { status: 404 })
    const nonce = randomBytes(16).toString('base64')
    const type = types[extname(url.pathname)] ?? 'application/octet-stream'
    const bytes = await readFile(join(folder, url.pathname))
    const body = type.startsWith('text/html') ? bytes.toString('utf8').replaceAll(NONCE_PLACEHOLDER, nonce) : bytes
    return new Response(body, {
      headers: {
        'Content-Type': type,
        'Content-Security-Policy': contentSecurityPolicy(nonce),
        'X-Content-Type-Options': 'nosniff',
        'Cross-Origin-Opener-Policy': 'same-origin',
      },
    })
  })
}
