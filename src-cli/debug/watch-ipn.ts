/** `pintail debug watch-ipn`: the daemon's bus, message by message. */
import { watchMask } from '../../src-contract/localapi/notify.ts'
import { goJson } from '../text/go-json.ts'
import { type FlagSpec, refuseArgs, type Verb } from '../verb.ts'

const BITS: readonly { name: string; bits: number; standard: boolean; help: string }[] = [
  { name: 'engine-updates', bits: watchMask.engineUpdates, standard: false, help: 'traffic counters' },
  { name: 'health-actions', bits: watchMask.healthActions, standard: false, help: 'what to do about warnings' },
  {
    name: 'initial',
    bits: watchMask.initialState | watchMask.initialPrefs,
    standard: false,
    help: 'start with state and prefs',
  },
  { name: 'initial-client-version', bits: watchMask.initialClientVersion, standard: false, help: 'start with updates' },
  { name: 'initial-drive-shares', bits: watchMask.initialDriveShares, standard: false, help: 'start with shares' },
  { name: 'initial-health', bits: watchMask.initialHealthState, standard: false, help: 'start with warnings' },
  { name: 'initial-netmap', bits: watchMask.initialNetMap, standard: false, help: 'start with the network map' },
  { name: 'initial-outgoing-files', bits: watchMask.initialOutgoingFiles, standard: false, help: 'start with files' },
  { name: 'initial-status', bits: watchMask.initialStatus, standard: false, help: 'start with the status' },
  {
    name: 'initial-suggested-exit-node',
    bits: watchMask.initialSuggestedExitNode,
    standard: false,
    help: 'start with the suggested exit node',
  },
  { name: 'peer-changes', bits: watchMask.peerChanges, standard: true, help: 'changed and removed peers' },
  { name: 'peer-patches', bits: watchMask.peerPatches, standard: true, help: 'changed members of peers' },
  { name: 'peer-wireguard-state', bits: watchMask.peerWireGuardState, standard: false, help: 'sessions with peers' },
]

export const watchIpn: Verb = {
  name: 'watch-ipn',
  summary: "Follow the daemon's notifications",
  examples: ['pintail debug watch-ipn --initial', 'pintail debug watch-ipn --count=1 --initial-netmap'],
  flags: [
    { name: 'count', kind: 'int', help: 'stop after this many; 0 = never', default: 0 },
    ...BITS.map(({ name, standard, help }): FlagSpec => ({ name, kind: 'bool', default: standard, help })),
  ],
  async run(call) {
    refuseArgs(call)
    const { flags, terminal } = call
    const mask = BITS.filter(({ name }) => flags.bool(name)).reduce((sum, { bits }) => sum | bits, 0)
    const client = await call.connect()
    const watch = await client.watch({ mask, signal: terminal.interrupted })
    terminal.err('Connected.\n')
    let left = flags.int('count')
    for await (const notify of watch) {
      terminal.out(`${goJson(notify, '\t')}\n`)
      if (--left === 0) break
    }
    return 0
  },
}
