/**
 * Reads files for the daemon with the rights of one user: `file-server-main.ts SOCKET`. It speaks HTTP on that socket with
 * the daemon alone, which says in headers what is served, and ends when its standard input does. [docs/rules/serve.md SVE-9]
 */
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { basename, dirname } from 'node:path'
import send from 'send'

const [, , socketPath] = process.argv
if (socketPath === undefined) {
  process.stderr.write('usage: file-server-main.ts SOCKET\n')
  process.exit(2)
}
process.umask(0o077)
process.stdin.on('close', () => process.exit(0)).resume()

const server = createServer((request, response) => {
  void answer(request, response).catch(() => fail(response, 500))
})
server.listen(socketPath, () => process.stdout.write('ready\n'))

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume()
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    return fail(response, 405)
  }
  const root = decodeURIComponent(headerOf(request, 'pintail-file-root'))
  const mount = decodeURIComponent(headerOf(request, 'pintail-file-mount'))
  const isExact = headerOf(request, 'pintail-file-exact') === '1'
  const facts = await stat(root).catch(() => undefined)
  if (facts === undefined) return fail(response, 404)
  const isFolder = facts.isDirectory()
  const isWhole = isExact || mount === '/'
  if (!isFolder && !(isWhole && (request.url === '/' || request.url?.startsWith('/?')))) return fail(response, 404)
  if (isFolder && isExact && !mount.endsWith('/')) {
    response.setHeader('Location', `${mount}/`)
    return fail(response, 301)
  }
  const path = isFolder ? (request.url ?? '/').split('?')[0]! : `/${encodeURIComponent(basename(root))}`
  send(request, path, { root: isFolder ? root : dirname(root), dotfiles: 'deny', index: ['index.html'] })
    .on('error', (error: { status?: number }) => fail(response, error.status ?? 500))
    .on('headers', (head: ServerResponse) => head.setHeader('X-Content-Type-Options', 'nosniff'))
    .pipe(response)
}

function headerOf(request: IncomingMessage, name: string): string {
  const value = request.headers[name]
  return typeof value === 'string' ? value : ''
}

function fail(response: ServerResponse, status: number): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  response.statusCode = status
  response.setHeader('Content-Length', 0)
  response.end()
}
