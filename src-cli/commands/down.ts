/** `pintail down` and `pintail logout`. */
import { acceptRiskFlag, askLoseSsh } from '../settings/risk.ts'
import { asksForSafety, makeChange, safeApplyFlags } from '../settings/safe-apply.ts'
import { refuseArgs, type Verb } from '../verb.ts'

export const down: Verb = {
  name: 'down',
  summary: 'Disconnect from the network',
  examples: ['pintail down', 'pintail down --reason="maintenance"', 'pintail down --confirm-within=1m'],
  flags: [
    { name: 'reason', kind: 'text', help: 'why, where a policy asks for it', default: '' },
    acceptRiskFlag,
    ...safeApplyFlags,
    { name: 'json', kind: 'bool', help: 'with --dry-run or --confirm-within: as JSON' },
  ],
  async run(call) {
    refuseArgs(call)
    const { flags, terminal } = call
    if (!asksForSafety(call))
      await askLoseSsh(
        terminal,
        flags.text('accept-risk'),
        'You are connected over this network; this action will disable it and end your session.',
      )
    const client = await call.connect({ reason: flags.text('reason') })
    const { BackendState } = await client.status({ peers: false })
    if (BackendState === 'Stopped') {
      terminal.err('Pintail was already stopped.\n')
      return 0
    }
    const Prefs = { WantRunning: false, WantRunningSet: true }
    return makeChange(call, client, { Prefs }, async () => void (await client.editPrefs(Prefs)))
  },
}

export const logout: Verb = {
  name: 'logout',
  summary: 'Disconnect and expire the current node key',
  details: 'Afterwards this machine has to sign in again.',
  examples: ['pintail logout'],
  flags: [{ name: 'reason', kind: 'text', help: 'why, where a policy asks for it', default: '' }],
  async run(call) {
    refuseArgs(call)
    const client = await call.connect({ reason: call.flags.text('reason') })
    await client.logout()
    return 0
  },
}
