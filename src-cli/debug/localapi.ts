/** `pintail debug localapi [METHOD] PATH [BODY|-]`: one raw request to the daemon. */
import { STATUS_CODES } from 'node:http'
import { CommandError, type Verb } from '../verb.ts'

const ANY_STATUS = Array.from({ length: 500 }, (_, i) => 100 + i)

export const localapi: Verb = {
  name: 'localapi',
  summary: "Call the daemon's API",
  args: '[<method>] <path> [<body> | -]',
  details: 'The path may leave out /localapi/v0/. Without a method: GET.',
  examples: [
    'pintail debug localapi GET status',
    'pintail debug localapi PATCH prefs \'{"Hostname":"nas","HostnameSet":true}\'',
  ],
  flags: [{ name: 'v', kind: 'bool', help: 'show the response headers', default: false }],
  async run({ args, flags, connect, terminal }) {
    const words = [...args]
    if (words.length === 0) throw new CommandError('expected at least one argument')
    const method = /^[A-Z]+$/.test(words[0] ?? '') ? words.shift() : undefined
    const [path, body] = words
    if (path === undefined) throw new CommandError('expected a path')
    const full = path.startsWith('/') ? path : `/localapi/v0/${path}`
    const verb = method ?? 'GET'
    terminal.err(`# doing request ${verb} ${full}\n`)
    const content = body === '-' ? await terminal.readInput() : body
    const reply = await (await connect()).request(verb, full, {
      expect: ANY_STATUS,
      timeoutMs: 0,
      signal: terminal.interrupted,
      ...(content === undefined ? {} : { body: content }),
    })
    if (flags.bool('v')) {
      const headers = Object.entries(reply.headers).map(([name, value]) => `${name}: ${String(value)}\n`)
      terminal.out(`HTTP/1.1 ${reply.status}\n${headers.join('')}\n`)
    }
    terminal.out(reply.body.toString('utf8'))
    if (reply.status >= 200 && reply.status < 300) return 0
    const line = `${reply.status} ${STATUS_CODES[reply.status] ?? ''}`.trim()
    terminal.err(`# Response status ${line}\n${line}\n`)
    return 1
  },
}
