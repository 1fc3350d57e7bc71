/** What people write behind `pintail serve`: today's spelling and the one before. Pure. [docs/rules/serve.md SVE-11] */
import type { ServeKind } from '../../src-client/serve-edit.ts'
import { CommandError, FlagError, type Flags } from '../verb.ts'

export interface ServeWords {
  readonly kind: ServeKind
  readonly port: number
  /** undefined: not said. */
  readonly mount: string | undefined
  /** undefined with `off`. */
  readonly target: string | undefined
  readonly isOff: boolean
  /** From the flag, or because the old spelling always meant it. */
  readonly isBackground: boolean
}

const KINDS: readonly ServeKind[] = ['https', 'http', 'tcp', 'tls-terminated-tcp']
const USUAL_PORT: { readonly [kind in ServeKind]: number } = {
  https: 443,
  http: 80,
  tcp: 0,
  'tls-terminated-tcp': 443,
}

export function readServeWords(args: readonly string[], flags: Flags): ServeWords {
  const old = /^(https?|tcp|tls-terminated-tcp)(?::(\d+))?$/.exec(args[0] ?? '')
  if (old !== null) return oldSpelling(old[1] as ServeKind, old[2], args.slice(1))
  const given = KINDS.filter((kind) => flags.given(kind))
  if (given.length > 1) throw new FlagError(`choose one of ${given.map((kind) => `--${kind}`).join(' and ')}`)
  const kind = given[0] ?? 'https'
  const port = given[0] === undefined ? USUAL_PORT.https : portOf(String(flags.int(kind)), kind)
  const isOff = args.at(-1) === 'off'
  const words = isOff ? args.slice(0, -1) : args
  if (words.length > 1)
    throw new CommandError(`one thing can be served at a time, not ${words.length}: ${words.join(' ')}`)
  if (!isOff && words.length === 0)
    throw new CommandError('say what is to be served: a port, an address, a path, or "off"')
  const mount = flags.given('set-path') ? mountOf(flags.text('set-path')) : undefined
  if (mount !== undefined && (kind === 'tcp' || kind === 'tls-terminated-tcp'))
    throw new FlagError('--set-path goes with --http and --https')
  return { kind, port, mount, target: isOff ? undefined : words[0], isOff, isBackground: flags.bool('bg') }
}

/** `https / http://localhost:3000`, `https:8443 /api 3000`, `tcp:2222 tcp://localhost:22`, `https / off`. */
function oldSpelling(kind: ServeKind, portText: string | undefined, args: readonly string[]): ServeWords {
  const port = portOf(portText ?? String(USUAL_PORT[kind]), kind)
  const isStream = kind === 'tcp' || kind === 'tls-terminated-tcp'
  const words = isStream ? args : args.slice(1)
  const mount = isStream ? undefined : mountOf(args[0] ?? '')
  const [target, ...rest] = words
  if (target === undefined || rest.length > 0)
    throw new CommandError(
      isStream
        ? `usage: pintail serve ${kind}:PORT tcp://localhost:PORT`
        : `usage: pintail serve ${kind}:PORT /mount TARGET`,
    )
  const isOff = target === 'off'
  return { kind, port, mount, target: isOff ? undefined : target, isOff, isBackground: true }
}

function portOf(text: string, kind: ServeKind): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new FlagError(`--${kind} needs a port between 1 and 65535`)
  return port
}

function mountOf(text: string): string {
  const mount = text.startsWith('/') ? text : `/${text}`
  if (/[?#\s]|\/\.{1,2}(\/|$)/.test(mount)) throw new FlagError(`${JSON.stringify(text)} is no path to serve at`)
  return mount
}
