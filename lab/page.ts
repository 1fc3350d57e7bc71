/** The small web page that a demo machine serves: who it is and who asks. `node lab/page.ts NAME [PORT]`. */
import { createServer } from 'node:http'

const [name = 'machine', port = '80'] = process.argv.slice(2)
const escaped = (text: string) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)

createServer((request, response) => {
  response.setHeader('Content-Type', 'text/html; charset=utf-8')
  response.end(
    `<!doctype html><meta charset="utf-8"><title>${escaped(name)}</title><h1>${escaped(name)}</h1>` +
      `<p>This page came through the tunnel to ${escaped(request.socket.remoteAddress ?? 'you')}.</p>\n`,
  )
}).listen(Number(port), '::', () => console.log('up'))
