/** `pintail set`: change what is mentioned, leave the rest. */
import type { NetworkChange } from '../../src-contract/localapi/changes.ts'
import { mustHave, parseBypassText, writeBypass } from '../settings/bypass.ts'
import { checkTypedPrefs, maskFor, setPrefFlags } from '../settings/pref-flags.ts'
import { acceptRiskFlag, askLoseSsh } from '../settings/risk.ts'
import { makeChange, safeApplyFlags } from '../settings/safe-apply.ts'
import { refuseArgs, type Verb } from '../verb.ts'
import { warnAboutSettings } from './bring-up.ts'
import { sshWarning } from './up.ts'

export const set: Verb = {
  name: 'set',
  summary: 'Change settings',
  details: 'Only what is mentioned changes; there are no defaults. "pintail get" shows what is set.',
  examples: [
    'pintail set --hostname=nas',
    'pintail set --accept-routes --exit-node=office',
    'pintail set --exit-node=',
    'pintail set --exit-node=office --dry-run',
    'pintail set --exit-node=office --confirm-within=30s',
    'pintail set --exit-node-bypass=10.0.0.0/16,interface:wt0',
    'sudo pintail set --operator=$USER',
  ],
  // No defaults: an unmentioned flag means "as it is".
  flags: [
    ...setPrefFlags.map(({ spec: { default: _, ...rest } }) => rest),
    {
      name: 'exit-node-bypass',
      kind: 'text',
      help: 'what does not take the exit node: networks, domains, interface:NAME, user:NAME, cgroup:PATH; see "pintail bypass"',
    },
    acceptRiskFlag,
    ...safeApplyFlags,
    { name: 'json', kind: 'bool', help: 'with --dry-run or --confirm-within: as JSON' },
  ],
  async run(call) {
    refuseArgs(call)
    const { flags, terminal } = call
    const mentioned = setPrefFlags.filter(({ spec }) => flags.given(spec.name))
    const hasBypass = flags.given('exit-node-bypass')
    if (mentioned.length === 0 && !hasBypass) {
      if (flags.typed.length === 0) terminal.err(call.usage())
      return 0
    }
    const client = await call.connect()
    const Bypass = hasBypass ? parseBypassText(flags.text('exit-node-bypass')) : undefined
    if (hasBypass) await mustHave(client)
    const change: NetworkChange = Bypass === undefined ? {} : { Bypass }
    const makeBypass = async (): Promise<void> => {
      if (Bypass !== undefined) await writeBypass(client, Bypass)
    }
    if (mentioned.length === 0) return makeChange(call, client, change, makeBypass)
    const status = await client.status()
    const current = await client.prefs()
    const wanted = structuredClone(current)
    for (const { spec, write } of mentioned) {
      write(wanted, spec.kind === 'bool' ? String(flags.bool(spec.name)) : flags.text(spec.name), status)
    }
    checkTypedPrefs(wanted, (name) => flags.given(name))
    if (wanted.RunSSH !== current.RunSSH)
      await askLoseSsh(terminal, flags.text('accept-risk'), sshWarning(wanted.RunSSH))
    const routes = flags.given('advertise-routes') || flags.given('advertise-exit-node')
    await warnAboutSettings(client, terminal, wanted, { netfilter: flags.given('netfilter-mode'), routes })
    await client.checkPrefs(wanted)
    const Prefs = maskFor(mentioned, wanted)
    const code = await makeChange(call, client, { ...change, Prefs }, async () => {
      await makeBypass()
      await client.editPrefs(Prefs)
    })
    if (code !== 0 || flags.bool('dry-run')) return code
    if (flags.given('webclient') && flags.bool('webclient') && status.TailscaleIPs?.[0] !== undefined)
      terminal.out(`Web interface now running at ${status.TailscaleIPs[0]}:5252\n`)
    return 0
  },
}
