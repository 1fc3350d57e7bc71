/**
 * From words to an exit status: reads the flags, lets commander find the verb and write the help, runs it, and turns
 * whatever goes wrong into the message and status that scripts expect (0 fine, 1 failed, 2 flags not understood).
 */
import { Command, CommanderError, Option } from 'commander'
import { LocalApiError } from '../src-client/local-api-error.ts'
import { LocalClient } from '../src-client/local-client.ts'
import { resolveSocketPath } from '../src-client/socket-path.ts'
import { fullName, plainArgs, requireFlagValue } from './go-flags.ts'
import { reachDaemon } from './reach-daemon.ts'
import { maskSecrets } from './text/mask.ts'
import { shellQuote } from './text/shell-quote.ts'
import { visible } from './text/visible.ts'
import { CommandError, FlagError, type FlagSpec, type Flags, type Terminal, type Verb } from './verb.ts'

export async function runCli(words: readonly string[], outer: Terminal, root: Verb): Promise<number> {
  const terminal: Terminal = {
    ...outer,
    out: (text) => outer.out(visible(text)),
    err: (text) => outer.err(visible(text)),
  }
  const argv = words.length === 1 && (words[0] === '-V' || words[0] === '--version') ? ['version'] : words
  let secrets: readonly string[] = []
  const complain = (text: string) => terminal.err(`${maskSecrets(text, secrets)}\n`)
  const session: Session = { terminal, root, clients: [], status: 0 }
  try {
    const plain = plainArgs(argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv, root)
    secrets = plain.secrets
    const program = commandOf(root, session, [root])
    const target = plain.path.slice(1).reduce((c, { name }) => c.commands.find((s) => s.name() === name) ?? c, program)
    if (plain.problem !== undefined) {
      complain(`${plain.problem}\n${target.helpInformation().trimEnd()}`)
      return 2
    }
    if (plain.wantsHelp) {
      target.outputHelp()
      return 0
    }
    if (plain.path.length === 1) {
      terminal.err(program.helpInformation())
      return 0
    }
    await program.parseAsync(plain.argv, { from: 'user' })
    return session.status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (error instanceof FlagError) {
      complain(error.message)
      return 2
    }
    if (error instanceof CommandError) {
      if (error.message !== '') complain(error.message)
      return error.exitCode
    }
    if (error instanceof LocalApiError) {
      complain(explain(error, argv, terminal, session.clients[0]?.socketPath ?? ''))
      return 1
    }
    if (terminal.interrupted.aborted) return 130
    throw error
  } finally {
    for (const client of session.clients) client.close()
  }
}

interface Session {
  terminal: Terminal
  root: Verb
  clients: LocalClient[]
  status: number
}

function commandOf(verb: Verb, session: Session, path: readonly Verb[]): Command {
  const command = new Command(verb.name)
    .summary(verb.summary)
    .description(verb.details === undefined ? verb.summary : `${verb.summary}\n\n${verb.details}`)
    .exitOverride()
    .helpCommand(false)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => session.terminal.out(text),
      writeErr: (text) => session.terminal.err(text),
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    })
  const options = (verb.flags ?? []).map((spec) => ({ spec, option: optionOf(spec) }))
  for (const { option } of options) command.addOption(option)
  for (const child of verb.verbs ?? []) {
    command.addCommand(commandOf(child, session, [...path, child]), { hidden: child.hidden === true })
  }
  const name = fullName(path)
  const args = verb.args ?? (verb.verbs !== undefined ? '<command> [flags]' : '[flags]')
  command.usage(path.length === 1 ? '[flags] <command> [command flags]' : args)
  command.addHelpText('after', `\nExamples:\n${verb.examples.map((example) => `  $ ${example}\n`).join('')}`)
  command.argument('[words...]', '').helpOption('-h, --help', 'show this help')
  command.configureHelp({
    visibleArguments: () => [],
    sortOptions: true,
    subcommandTerm: (child) => child.name(),
    optionTerm: (option) => option.flags.replace(' <true|false>', '[=false]'),
  })
  command.action(async (words: string[]) => {
    if (verb.run === undefined) {
      throw new CommandError(`${name}: missing subcommand: ${(verb.verbs ?? []).map((v) => v.name).join(', ')}`)
    }
    const status = await verb.run({
      path: fullName(path.slice(1)),
      args: words,
      flags: flagsOf(command, options),
      terminal: session.terminal,
      usage: () => command.helpInformation(),
      connect: (extra) => connect(session, rootOption(command, 'socket'), extra?.reason),
    })
    session.status = status ?? 0
  })
  return command
}

const PLACEHOLDERS = { bool: 'true|false', text: 'value', int: 'n', duration: 'time' } as const

function optionOf(spec: FlagSpec): Option {
  const standard = spec.default === undefined || spec.default === '' ? '' : ` (default ${spec.default})`
  const option = new Option(`--${spec.name} <${PLACEHOLDERS[spec.kind]}>`, spec.help + standard)
  option.argParser((value) => requireFlagValue(spec, value))
  return spec.hidden === true ? option.hideHelp() : option
}

function flagsOf(command: Command, options: readonly { spec: FlagSpec; option: Option }[]): Flags {
  const find = (name: string) => {
    const found = options.find(({ spec }) => spec.name === name)
    if (found === undefined) throw new Error(`the verb has no flag ${name}`)
    return found
  }
  const value = (name: string): unknown => {
    const { spec, option } = find(name)
    return command.getOptionValue(option.attributeName()) ?? spec.default
  }
  const given = (name: string) => command.getOptionValue(find(name).option.attributeName()) !== undefined
  return {
    bool: (name) => value(name) === true,
    text: (name) => String(value(name) ?? ''),
    int: (name) => Number(value(name) ?? 0),
    ms: (name) => Number(value(name) ?? 0),
    given,
    typed: options
      .map(({ spec }) => spec.name)
      .filter(given)
      .sort(),
  }
}

function rootOption(command: Command, name: string): string | undefined {
  return command.optsWithGlobals()[name] as string | undefined
}

async function connect(session: Session, explicit: string | undefined, reason: string | undefined) {
  const { terminal } = session
  const socketPath = await resolveSocketPath({ explicit, env: terminal.env })
  const client = new LocalClient({ socketPath, ...(reason ? { reason } : {}) })
  session.clients.unshift(client)
  await reachDaemon(client, terminal)
  return client
}

function explain(error: LocalApiError, argv: readonly string[], terminal: Terminal, socketPath: string): string {
  switch (error.code) {
    case 'access-denied': {
      const denied = `Access denied: ${error.message}`
      if (terminal.uid === 0 || terminal.platform === 'win32') return denied
      const named = socketFlag(argv)
      // sudo does not hand the environment on
      const inherited = terminal.env.PINTAIL_SOCKET
      const extra = named.length === 0 && inherited ? [shellQuote(`--socket=${inherited}`)] : []
      const again = `${denied}\n\nUse 'sudo ${['pintail', ...extra, ...argv.map(shellQuote)].join(' ')}'.`
      if (denied.includes('--operator=')) return again // our daemon says what else there is, a stock one does not
      const once = ['pintail', ...extra, ...named, 'set', '--operator=$USER'].join(' ')
      return `${again}\nTo not require root, use 'sudo ${once}' once.`
    }
    case 'precondition-failed':
      return `Preconditions failed: ${error.message}`
    case 'daemon-unreachable':
      return `failed to connect to local pintaild; it doesn't appear to be running (sudo systemctl start pintaild ?)
(${error.message || socketPath})`
    default:
      return error.message
  }
}

function socketFlag(argv: readonly string[]): string[] {
  const flag = argv.find((word) => /^--?socket=/.test(word))
  return flag === undefined ? [] : [shellQuote(flag)]
}
