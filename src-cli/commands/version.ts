/** `pintail version`. */
import { readFileSync } from 'node:fs'
import { CAPABILITY_VERSION } from '../../src-contract/control/versions.ts'
import { goJson } from '../text/go-json.ts'
import { refuseArgs, type Verb } from '../verb.ts'

export const version: Verb = {
  name: 'version',
  summary: 'Print the version',
  examples: ['pintail version', 'pintail version --daemon', 'pintail version --json'],
  flags: [
    { name: 'daemon', kind: 'bool', help: "also the running daemon's", default: false },
    { name: 'json', kind: 'bool', help: 'as JSON', default: false },
  ],
  async run(call) {
    refuseArgs(call)
    const own = ownVersion()
    const withDaemon = call.flags.bool('daemon')
    const daemon = withDaemon ? (await (await call.connect()).status({ peers: false })).Version : undefined
    if (call.flags.bool('json')) {
      const long = { majorMinorPatch: own.split('-')[0], short: own, long: own }
      call.terminal.out(
        `${goJson({ ...long, ...(daemon === undefined ? {} : { daemonLong: daemon }), cap: CAPABILITY_VERSION }, '\t')}\n`,
      )
      return 0
    }
    const block = `${own}\n  long version: ${own}\n  node version: ${process.version}\n`
    call.terminal.out(daemon === undefined ? block : `Client: ${block}Daemon: ${daemon}\n`)
    return 0
  },
}

export function ownVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return String((JSON.parse(text) as { version?: string }).version)
}
