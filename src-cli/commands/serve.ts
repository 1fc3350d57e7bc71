/** `pintail serve`: offer a local program, file or text to the network. [docs/rules/serve.md SVE-11, SVE-12] */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isLocalApiError, LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import {
  readHandler,
  readTarget,
  type ServedSite,
  type ServedStream,
  ServeEditError,
  withoutServed,
  withServed,
} from '../../src-client/serve-edit.ts'
import { watchMask } from '../../src-contract/localapi/notify.ts'
import type { ServeConfig } from '../../src-contract/localapi/serve.ts'
import { goJson } from '../text/go-json.ts'
import { CommandError, type Invocation, refuseArgs, type Verb } from '../verb.ts'
import { handlerLines, type Names, serveStatusText } from './serve-text.ts'
import { readServeWords, type ServeWords } from './serve-words.ts'

/** Somebody else may change the config between our reading and our writing. */
const TRIES = 5

export const serve: Verb = {
  name: 'serve',
  summary: 'Offer a local program, folder or text to machines of this network',
  args: '<target>|off',
  details:
    'A target is a port (3000), an address (http://localhost:3000), a Unix socket (unix:/run/app.sock), a file or folder by its full path, or "text:…". Without --bg it is offered until Ctrl-C.',
  examples: [
    'pintail serve --http=80 3000',
    'pintail serve --bg --http=80 --set-path=/docs /srv/docs',
    'pintail serve --tcp=2222 22',
    'pintail serve status',
    'pintail serve --http=80 off',
  ],
  flags: [
    { name: 'bg', kind: 'bool', help: 'keep on serving in the background, also after a restart', default: false },
    { name: 'http', kind: 'int', help: 'serve HTTP on this port', default: 0 },
    {
      name: 'https',
      kind: 'int',
      help: 'serve HTTPS on this port (what is meant when nothing is said: 443)',
      default: 0,
    },
    { name: 'tcp', kind: 'int', help: 'hand on TCP connections of this port', default: 0 },
    { name: 'tls-terminated-tcp', kind: 'int', help: 'end TLS on this port and hand on what is inside', default: 0 },
    {
      name: 'proxy-protocol',
      kind: 'int',
      help: 'with --tcp: version of the PROXY header that goes first (1 or 2)',
      default: 0,
    },
    { name: 'set-path', kind: 'text', help: 'path of the site to serve at', default: '' },
    {
      name: 'accept-app-caps',
      kind: 'text',
      help: 'capabilities of callers to tell the program (comma-separated)',
      default: '',
    },
    { name: 'yes', kind: 'bool', help: 'do not ask', default: false },
  ],
  verbs: [
    {
      name: 'status',
      summary: 'Show what is served',
      examples: ['pintail serve status', 'pintail serve status --json'],
      flags: [{ name: 'json', kind: 'bool', help: 'print JSON', default: false }],
      async run(call) {
        refuseArgs(call)
        const client = await call.connect()
        const { config } = await client.serveConfig()
        call.terminal.out(
          call.flags.bool('json') ? `${goJson(config ?? {})}\n` : serveStatusText(config ?? {}, await namesOf(client)),
        )
        return 0
      },
    },
    {
      name: 'reset',
      summary: 'Serve nothing any more',
      examples: ['pintail serve reset'],
      async run(call) {
        refuseArgs(call)
        await (await call.connect()).setServeConfig({}, '')
        return 0
      },
    },
  ],
  async run(call) {
    const words = readServeWords(call.args, call.flags)
    try {
      if (words.isOff) await switchOff(call, words)
      else if (words.isBackground) await serveOn(call, words)
      else await serveHere(call, words)
    } catch (error) {
      if (error instanceof ServeEditError) throw new CommandError(error.message)
      throw error
    }
    return 0
  },
}

async function switchOff(call: Invocation, words: ServeWords): Promise<void> {
  const client = await call.connect()
  const names = await namesOf(client)
  await edit(client, (config) => {
    const place = { kind: words.kind, port: words.port, host: names.host }
    return withoutServed(config, place, words.mount)
  })
}

async function serveOn(call: Invocation, words: ServeWords): Promise<void> {
  const client = await call.connect()
  const names = await namesOf(client)
  const wish = await wishOf(call, words, names)
  await edit(client, (config) => withServed(config, wish))
  call.terminal.out(availableText(wish, names))
  call.terminal.out('Serve started and running in the background.\n')
  const path = words.mount === undefined ? '' : ` --set-path=${words.mount}`
  call.terminal.out(`To disable the proxy, run: pintail serve --${words.kind}=${words.port}${path} off\n`)
}

/** For as long as we run: the daemon ends it when our watch ends, however that comes about. */
async function serveHere(call: Invocation, words: ServeWords): Promise<void> {
  const { terminal } = call
  const client = await call.connect()
  const names = await namesOf(client)
  const wish = await wishOf(call, words, names)
  try {
    const watch = await client.watch({ mask: watchMask.initialState, signal: terminal.interrupted })
    for await (const { SessionID: session } of watch) {
      if (session === undefined || session === '') continue
      await edit(client, (config) => {
        const Foreground = { ...config.Foreground, [session]: withServed({}, wish) }
        return { ...config, Foreground }
      })
      terminal.out(availableText(wish, names))
      terminal.out('Press Ctrl+C to exit.\n')
    }
    throw new CommandError('the daemon ended this: it was switched off, or it stopped')
  } catch (error) {
    if (!terminal.interrupted.aborted) throw error
  }
}

async function wishOf(call: Invocation, words: ServeWords, { host }: Names): Promise<ServedSite | ServedStream> {
  const { kind, port, target = '' } = words
  const version = call.flags.int('proxy-protocol')
  if (kind === 'tcp' || kind === 'tls-terminated-tcp') {
    if (![0, 1, 2].includes(version)) throw new CommandError('--proxy-protocol is 1 or 2')
    const to = readTarget(target, ['tcp']).replace(/^tcp:\/\//, '')
    return { kind, port, host, to, proxyProtocol: version === 1 || version === 2 ? version : undefined }
  }
  if (version !== 0) throw new CommandError('--proxy-protocol goes with --tcp and --tls-terminated-tcp')
  const path = target.startsWith('./') || target.startsWith('../') || target === '.' ? resolve(target) : target
  const { handler, isFolder } = await readHandler(path, kindOfPath)
  const mount = words.mount ?? '/'
  const caps = call.flags.text('accept-app-caps')
  const AcceptAppCaps = caps === '' ? undefined : caps.split(',').map((name) => name.trim())
  if (AcceptAppCaps !== undefined && handler.Proxy === undefined)
    throw new CommandError('--accept-app-caps goes with a program that is served')
  return {
    kind,
    port,
    host,
    mount: isFolder && !mount.endsWith('/') ? `${mount}/` : mount,
    handler: AcceptAppCaps === undefined ? handler : { ...handler, AcceptAppCaps },
  }
}

async function kindOfPath(path: string): Promise<boolean | undefined> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ServeEditError(`${path} cannot be read: ${(error as Error).message}`)
  }
}

async function edit(client: LocalClient, change: (config: ServeConfig) => ServeConfig): Promise<void> {
  for (let left = TRIES; ; left--) {
    const { config, etag } = await client.serveConfig()
    try {
      await client.setServeConfig(change(config ?? {}), etag)
      return
    } catch (error) {
      if (!isLocalApiError(error, 'precondition-failed') || left <= 1) throw told(error)
    }
  }
}

function told(error: unknown): unknown {
  if (!(error instanceof LocalApiError) || error.code !== 'failed') return error
  return new CommandError(error.message.replace(/^updating config: /, ''))
}

async function namesOf(client: LocalClient): Promise<Names> {
  const { Self, TailscaleIPs, BackendState } = await client.status({ peers: false })
  const host = Self?.DNSName.replace(/\.$/, '') ?? ''
  if (host === '')
    throw new CommandError(`this machine has no name in a network (state: ${BackendState}); run: pintail up`)
  return { host, addresses: TailscaleIPs ?? [] }
}

function availableText(wish: ServedSite | ServedStream, names: Names): string {
  const head = 'Available within your tailnet:\n\n'
  if ('to' in wish) return `${head}${serveStatusText(withServed({}, wish), names).trim()}\n\n`
  const usual = wish.kind === 'http' ? 80 : 443
  const url = `${wish.kind}://${names.host}${wish.port === usual ? '' : `:${wish.port}`}${wish.mount}`
  const [line = ''] = handlerLines({ [wish.mount]: wish.handler })
  return `${head}${url}\n${line.replace(`${wish.mount} `, '')}\n\n`
}
