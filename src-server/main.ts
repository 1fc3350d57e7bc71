/** The program `pintail-control`: verbs, exit status, and nothing else. */
import { Command } from 'commander'
import { healthCommand, keyCommands, nodeCommands, reloadCommand, userCommands } from './commands/admin.ts'
import { routeCommands } from './commands/routes.ts'
import { configTestCommand, initCommand, serveCommand } from './commands/serve.ts'
import { version } from './version.ts'

const output = { print: (text: string) => void process.stdout.write(`${text}\n`) }

// options of the program itself may stand before or behind a verb
const program = new Command('pintail-control')
  .description('Coordination server for Tailscale-compatible networks, with its relay and STUN server inside.')
  .version(version)
  .option('-c, --config <file>', 'config file, of the server to run or to talk to', '/etc/pintail-control/config.yaml')
  .option('--socket <path>', 'administration socket, instead of the one in the config')
  .configureHelp({ showGlobalOptions: true })
  .showHelpAfterError('(add --help for usage)')
  .addCommand(serveCommand())
  .addCommand(initCommand(output))
  .addCommand(configTestCommand(output))
  .addCommand(userCommands(output))
  .addCommand(keyCommands(output))
  .addCommand(nodeCommands(output))
  .addCommand(routeCommands(output))
  .addCommand(reloadCommand(output))
  .addCommand(healthCommand(output))
  .addCommand(
    new Command('version')
      .description('print the version')
      .option('--json', 'print JSON')
      .action((options: { json?: true }) =>
        output.print(options.json ? JSON.stringify({ version, node: process.version }) : version),
      ),
  )
  .addHelpText(
    'after',
    '\nFirst steps:\n  $ pintail-control init\n  $ pintail-control serve\n  $ pintail-control users create alice\n  $ pintail-control preauthkeys create --user alice',
  )

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`pintail-control: ${(error as Error).message}\n`)
  process.exitCode = 1
}
