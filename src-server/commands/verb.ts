/** What all verbs that talk to a running server have in common. */
import { Command } from 'commander'
import { AdminClient } from '../admin/client.ts'
import { loadConfig } from '../config/load.ts'

/** What every verb takes; `config` and `socket` are options of the program itself and may stand anywhere. */
export interface Common {
  readonly config: string
  readonly socket?: string
  readonly json?: true
}

export function verb(name: string, description: string, ...examples: string[]): Command {
  return new Command(name)
    .description(description)
    .option('--json', 'print JSON')
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ pintail-control ${example}`).join('\n')}`)
}

export function client(command: Command): AdminClient {
  const options = command.optsWithGlobals<Common>()
  return new AdminClient(options.socket ?? loadConfig(options.config).unix_socket)
}

export function json(value: unknown): string {
  return JSON.stringify(value, undefined, 2)
}

export const path = encodeURIComponent
