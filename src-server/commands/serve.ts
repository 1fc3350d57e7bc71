/** `serve`, `init` and `configtest`: what works without a running server. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Command } from 'commander'
import { exampleConfig } from '../config/example.ts'
import { loadConfig, parseConfig } from '../config/load.ts'
import { createLog } from '../log.ts'
import { startServer } from '../server.ts'
import { DEFAULT_CONFIG } from './admin.ts'
import type { Output } from './output.ts'

export function serveCommand(): Command {
  return new Command('serve')
    .description('run the coordination server, relay and STUN in the foreground')
    .option('-c, --config <file>', 'config file', DEFAULT_CONFIG)
    .addHelpText(
      'after',
      '\nSIGINT and SIGTERM end it cleanly.\n\nExamples:\n  $ pintail-control serve\n  $ pintail-control serve --config ./config.yaml',
    )
    .action(async (options: { config: string }) => {
      const config = loadConfig(options.config)
      const stop = Promise.withResolvers<NodeJS.Signals>()
      // signals count from the first moment on, also while the server starts
      process.on('SIGINT', stop.resolve)
      process.on('SIGTERM', stop.resolve)
      const log = createLog(config.log)
      const server = await startServer({ config, log })
      log('info', 'stopping', { signal: await stop.promise })
      await server.close()
    })
}

export function initCommand(output: Output): Command {
  return new Command('init')
    .description('write a commented config file')
    .option('-c, --config <file>', 'where to write it', DEFAULT_CONFIG)
    .option('--server-url <url>', 'where clients will reach the server', 'https://control.example.com')
    .option('--force', 'overwrite an existing file')
    .addHelpText(
      'after',
      '\nExamples:\n  $ pintail-control init --config ./config.yaml --server-url http://192.0.2.10:8080',
    )
    .action((options: { config: string; serverUrl: string; force?: true }) => {
      const text = exampleConfig(options.serverUrl)
      parseConfig(text, '--server-url')
      if (existsSync(options.config) && !options.force)
        throw new Error(`${options.config} exists already; --force overwrites it`)
      mkdirSync(dirname(options.config), { recursive: true })
      writeFileSync(options.config, text, { mode: 0o644 })
      output.print(`Wrote ${options.config}. Read it, then run: pintail-control serve --config ${options.config}`)
    })
}

export function configTestCommand(output: Output): Command {
  return new Command('configtest')
    .description('check a config file without starting anything')
    .option('-c, --config <file>', 'config file', DEFAULT_CONFIG)
    .addHelpText('after', '\nExamples:\n  $ pintail-control configtest --config ./config.yaml')
    .action((options: { config: string }) => {
      loadConfig(options.config)
      output.print(`${options.config} is fine.`)
    })
}
