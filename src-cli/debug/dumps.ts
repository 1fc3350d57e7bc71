/** What the daemon knows, as indented JSON. */
import { LocalApiError } from '../../src-client/local-api-error.ts'
import { goJson } from '../text/go-json.ts'
import { shellQuote } from '../text/shell-quote.ts'
import { CommandError, refuseArgs, type Verb } from '../verb.ts'

export const prefs: Verb = {
  name: 'prefs',
  summary: 'Print the preferences',
  examples: ['pintail debug prefs'],
  async run(call) {
    refuseArgs(call)
    call.terminal.out(`${goJson(await (await call.connect()).prefs(), '\t')}\n`)
    return 0
  },
}

export const derpMap: Verb = {
  name: 'derp-map',
  summary: 'Print the map of relays',
  examples: ['pintail debug derp-map'],
  async run(call) {
    refuseArgs(call)
    const map = await (await call.connect()).derpMap()
    call.terminal.out(`${goJson(map ?? { Regions: null }, '\t')}\n`)
    return 0
  },
}

export const netmap: Verb = {
  name: 'netmap',
  summary: 'Print the network map',
  examples: ['pintail debug netmap'],
  async run(call) {
    refuseArgs(call)
    const client = await call.connect()
    try {
      const map = await client.json('POST', 'debug', { query: { action: 'current-netmap' } })
      call.terminal.out(`${goJson(map, '\t')}\n`)
    } catch (error) {
      if (error instanceof LocalApiError && error.code === 'not-found')
        throw new CommandError(`the daemon on ${client.socketPath} does not show its network map`)
      throw error
    }
    return 0
  },
}

export const localCreds: Verb = {
  name: 'local-creds',
  summary: "Print how to ask the daemon's API with curl",
  examples: ['$(pintail debug local-creds)'],
  async run(call) {
    refuseArgs(call)
    const { socketPath } = await call.connect()
    call.terminal.out(`curl --unix-socket ${shellQuote(socketPath)} http://local-tailscaled.sock/localapi/v0/status\n`)
    return 0
  },
}
