/**
 * The words of the command line: what a verb and its flags are, and what a running verb may use. The table of all
 * verbs is `verbs.ts`; parsing and dispatch are `cli.ts`.
 */
import type { Readable } from 'node:stream'
import type { LocalClient } from '../src-client/local-client.ts'

export type FlagKind = 'bool' | 'text' | 'int' | 'duration'

export interface FlagSpec {
  readonly name: string
  readonly kind: FlagKind
  readonly help: string
  readonly default?: boolean | string | number
  readonly hidden?: boolean
  /** Its value is never printed. */
  readonly secret?: boolean
}

export interface Verb {
  readonly name: string
  readonly summary: string
  /** Behind the verb's name in the usage line. */
  readonly args?: string
  readonly details?: string
  readonly examples: readonly string[]
  readonly flags?: readonly FlagSpec[]
  readonly verbs?: readonly Verb[]
  readonly hidden?: boolean
  /** The exit status; nothing = 0. */
  readonly run?: (call: Invocation) => Promise<number | undefined>
}

/** Everything a verb knows of the world besides the daemon. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** Our own pictures, on standard error; elsewhere control characters are made visible. */
  draw(text: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly uid: number
  readonly platform: NodeJS.Platform
  /** Ctrl-C. */
  readonly interrupted: AbortSignal
  now(): number
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** A person sits in front of it, who can be asked. */
  readonly isInteractive: boolean
  /** Asks a yes/no question; false when nobody can answer, or not before the signal. */
  confirm(question: string, signal?: AbortSignal): Promise<boolean>
  readFile(path: string): Promise<string>
  readInput(): Promise<string>
  /** Standard input as it comes; absent: there is none. */
  openInput?(): Readable
  /** A person looks at what is drawn. */
  readonly isDrawn?: boolean
  localAddresses(): readonly string[]
  /** Addresses of a host name, from the operating system. */
  resolveHost(name: string): Promise<readonly string[]>
  /** How long to wait for a daemon that is just starting. */
  readonly graceMs: number
}

export interface Flags {
  bool(name: string): boolean
  text(name: string): string
  int(name: string): number
  /** A duration flag, in milliseconds. */
  ms(name: string): number
  given(name: string): boolean
  /** Names typed by the user, sorted. */
  readonly typed: readonly string[]
}

export interface Invocation {
  /** `pintail exit-node list` → `exit-node list`. */
  readonly path: string
  readonly args: readonly string[]
  readonly flags: Flags
  readonly terminal: Terminal
  /** Help for this verb. */
  readonly usage: () => string
  readonly connect: (options?: { reason?: string }) => Promise<LocalClient>
}

/** Ends the command with a message on stderr. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: number

  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Flags that cannot be read: message, usage, exit status 2. */
export class FlagError extends Error {
  override readonly name = 'FlagError'
}

/** Most verbs take no positional arguments. */
export function refuseArgs(call: Invocation): void {
  if (call.args.length > 0) throw new CommandError(`too many non-flag arguments: ${wordList(call.args)}`)
}

export function wordList(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(' ')}]`
}
