/** `pintail up`: connect, with the whole set of settings as the wish. [docs/rules/cli.md CLI-3] */
import type { LocalClient } from '../../src-client/local-client.ts'
import { defaultPrefs, type MaskedPrefs, type Prefs } from '../../src-contract/localapi/prefs.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import { isSameControl, lostSettingsMessage } from '../settings/lost-settings.ts'
import { checkTypedPrefs, DEFAULT_CONTROL_URL, maskFor, upPrefFlags } from '../settings/pref-flags.ts'
import { askLoseSsh } from '../settings/risk.ts'
import { asksForSafety, makeChange, safeApplyFlags } from '../settings/safe-apply.ts'
import { durationText } from '../text/duration.ts'
import { goJson } from '../text/go-json.ts'
import { CommandError, type Invocation, refuseArgs, type Verb } from '../verb.ts'
import { bringUp, bringUpFlags, printUpHealth, readAuthKey, warnAboutSettings } from './bring-up.ts'

export const up: Verb = {
  name: 'up',
  summary: 'Connect to the network, logging in if needed',
  details: `Without flags it brings the network online and changes no setting (the opposite of "pintail down").

With flags, they are the complete set of wanted settings: it refuses to drop a setting that is not
mentioned, and prints the command that keeps it, unless --reset is given. To change one thing, use
"pintail set".`,
  examples: [
    'pintail up',
    'pintail up --login-server=https://control.example.com',
    'pintail up --login-server=https://control.example.com --auth-key=file:/etc/pintail/join.key --hostname=nas',
    'pintail up --reset --qr',
  ],
  flags: [
    ...bringUpFlags,
    { name: 'reset', kind: 'bool', help: 'settings that are not mentioned go back to their defaults', default: false },
    { name: 'force-reauth', kind: 'bool', help: 'sign in again; the connection may go down meanwhile', default: false },
    { name: 'json', kind: 'bool', help: 'progress as JSON', default: false },
    ...safeApplyFlags,
  ],
  run,
}

async function run(call: Invocation): Promise<number> {
  refuseArgs(call)
  const { flags, terminal } = call
  const authKey = await readAuthKey(call)
  const forceReauth = flags.bool('force-reauth')
  const client = await call.connect()
  const status = await client.status()
  const wanted = wantedPrefs(call, status)
  const current = await client.prefs()
  carryOver(call, wanted, current)
  if (!flags.bool('reset')) refuseToLose(call, current, wanted, status)

  const sameControl = current.ControlURL === '' || isSameControl(current.ControlURL, wanted.ControlURL)
  const isRunning = status.BackendState === 'Running'
  if (!sameControl && isRunning && !forceReauth)
    throw new CommandError("can't change --login-server without --force-reauth")

  if (flags.bool('ssh') !== current.RunSSH && (flags.given('ssh') || flags.bool('reset')))
    await askLoseSsh(terminal, flags.text('accept-risk'), sshWarning(wanted.RunSSH))
  if (forceReauth && isRunning)
    await askLoseSsh(
      terminal,
      flags.text('accept-risk'),
      'You are connected over the network that signing in again interrupts.',
    )
  await warnAboutSettings(client, terminal, wanted, { netfilter: flags.given('netfilter-mode'), routes: true })

  const isKnownLogin = Boolean(current.Config?.UserProfile?.LoginName)
  if (isBare(flags) && isKnownLogin && status.BackendState !== 'NeedsLogin') {
    const Prefs = { WantRunning: true, WantRunningSet: true }
    return edit(call, client, Prefs)
  }
  const sameTags = String(current.AdvertiseTags ?? '') === String(wanted.AdvertiseTags ?? '')
  if (isRunning && !forceReauth && authKey === '' && sameControl && sameTags) {
    const changed = upPrefFlags.filter(({ spec }) => flags.bool('reset') || flags.given(spec.name))
    await client.checkPrefs(wanted)
    return edit(call, client, { ...maskFor(changed, wanted), WantRunning: true, WantRunningSet: true }, 'Running')
  }
  if (asksForSafety(call))
    throw new CommandError(
      'signing in cannot be shown or taken back: --dry-run and --confirm-within need a machine that is connected',
    )
  await bringUp(call, { client, prefs: wanted, status, authKey, forceReauth, json: flags.bool('json') })
  return 0
}

async function edit(call: Invocation, client: LocalClient, Prefs: MaskedPrefs, reached?: 'Running'): Promise<number> {
  const { flags, terminal } = call
  const code = await makeChange(call, client, { Prefs }, async () => {
    await client.editPrefs(Prefs)
    if (reached !== undefined && flags.bool('json')) terminal.out(`${goJson({ BackendState: reached }, '  ')}\n`)
  })
  if (code === 0 && !flags.bool('dry-run')) await printUpHealth(client, terminal)
  return code
}

export function sshWarning(on: boolean): string {
  return on
    ? 'You are connected over this network; enabling its SSH server reroutes SSH and may end this session.'
    : 'You are connected over this network; disabling its SSH server may end this session.'
}

/** Defaults, then what was typed. */
export function wantedPrefs({ flags, terminal }: Invocation, status: Status): Prefs {
  if (flags.bool('exit-node-allow-lan-access') && flags.text('exit-node') === '')
    throw new CommandError('--exit-node-allow-lan-access can only be used with --exit-node')
  if (!flags.bool('host-routes')) throw new CommandError('--host-routes=false is not supported')
  const prefs: Prefs = { ...defaultPrefs(), ControlURL: DEFAULT_CONTROL_URL, WantRunning: true }
  if (terminal.platform !== 'linux') prefs.NetfilterMode = 0
  for (const flag of upPrefFlags) {
    if (!flags.given(flag.spec.name)) continue
    const value = flag.spec.kind === 'bool' ? String(flags.bool(flag.spec.name)) : flags.text(flag.spec.name)
    flag.write(prefs, value, status)
  }
  checkTypedPrefs(prefs, (name) => flags.given(name))
  return prefs
}

/** Who made himself operator does not have to say so each time. Profile matters are not `up`'s. */
function carryOver({ flags, terminal }: Invocation, wanted: Prefs, current: Prefs): void {
  const { USER, SUDO_USER } = terminal.env
  if (!flags.given('operator') && current.OperatorUser && [USER, SUDO_USER].includes(current.OperatorUser)) {
    wanted.OperatorUser = current.OperatorUser
  }
  if (current.ProfileName) wanted.ProfileName = current.ProfileName
}

function refuseToLose({ flags, terminal }: Invocation, current: Prefs, wanted: Prefs, status: Status): void {
  if (isBare(flags) && current.Config?.UserProfile?.LoginName && status.BackendState !== 'NeedsLogin') return
  const typed = new Map(flags.typed.map((name) => [name, typedText(flags, name)]))
  const message = lostSettingsMessage({ current, wanted, status, typed, platform: terminal.platform })
  if (message !== undefined) throw new CommandError(message)
}

function typedText(flags: Invocation['flags'], name: string): string {
  return name === 'timeout' || name === 'confirm-within' ? durationText(flags.ms(name) * 1e6) : flags.text(name)
}

/** How a change is made is no setting. */
function isBare(flags: Invocation['flags']): boolean {
  return flags.typed.every((name) => safeApplyFlags.some((flag) => flag.name === name))
}
