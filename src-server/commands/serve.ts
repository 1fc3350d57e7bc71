/** `serve`, `init` and `configtest`: what works without a running server. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Command } from 'commander'
import { exampleConfig } from '../config/example.ts'
import { ConfigError, loadConfig, parseConfig } from '../config/load.ts'
import { createLog, type Log } from '../log.ts'
import { type RunningServer, startServer } from '../server.ts'
import type { Output } from './output.ts'

export function serveCommand(): Command {
  return new Command('serve')
    .description('run the coordination server, relay and STUN in the foreground')
    .addHelpText(
      'after',
      '\nSIGINT and SIGTERM end it cleanly; SIGHUP has it read its config again (see reload).\n\nExamples:\n  $ pintail-control serve\n  $ pintail-control serve --config ./config.yaml',
    )
    .action(async (_options: object, command: Command) => {
      const { config: file } = command.optsWithGlobals<{ config: string }>()
      const config = loadConfig(file)
      const stop = Promise.withResolvers<NodeJS.Signals>()
      // signals count from the first moment on, also while the server starts
      process.on('SIGINT', stop.resolve)
      process.on('SIGTERM', stop.resolve)
      process.on('SIGHUP', () => undefined) // nobody is ended by it while the server starts
      const log = createLog(config.log)
      const server = await startServer({ config, readConfig: () => loadConfig(file), log })
      process.on('SIGHUP', () => reload(server, log))
      log('info', 'stopping', { signal: await stop.promise })
      await server.close()
    })
}

function reload(server: RunningServer, log: Log): void {
  try {
    const { applied, needsRestart, warnings } = server.reload()
    log('info', 'reloaded', { applied, needsRestart })
    for (const warning of warnings) log('warn', 'config', { warning })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    log('error', 'reload-refused', { problem: error.message })
  }
}

export function initCommand(output: Output): Command {
  return new Command('init')
    .description('write a commented config file')
    .option('--server-url <url>', 'where clients will reach the server', 'https://control.example.com')
    .option('--force', 'overwrite an existing file')
    .addHelpText(
      'after',
      '\nExamples:\n  $ pintail-control init --config ./config.yaml --server-url http://192.0.2.10:8080',
    )
    .action((options: { serverUrl: string; force?: true }, command: Command) => {
      const { config: file } = command.optsWithGlobals<{ config: string }>()
      const text = exampleConfig(options.serverUrl)
      parseConfig(text, '--server-url')
      if (existsSync(file) && !options.force) throw new Error(`${file} exists already; --force overwrites it`)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text, { mode: 0o644 })
      output.print(`Wrote ${file}. Read it, then run: pintail-control serve --config ${file}`)
    })
}

export function configTestCommand(output: Output): Command {
  return new Command('configtest')
    .description('check a config file without starting anything')
    .addHelpText('after', '\nExamples:\n  $ pintail-control configtest --config ./config.yaml')
    .action((_options: object, command: Command) => {
      const { config: file } = command.optsWithGlobals<{ config: string }>()
      loadConfig(file)
      output.print(`${file} is fine.`)
    })
}
