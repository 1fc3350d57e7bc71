/**
 * The common half of `up` and `login`: send the wish, then wait for the network, telling the person what the daemon
 * waits for. The watch is opened before the wish is sent, so that no state change can be missed.
 */
import QRCode from 'qrcode'
import type { LocalClient } from '../../src-client/local-client.ts'
import type { Notify } from '../../src-contract/localapi/notify.ts'
import type { Prefs, StartOptions } from '../../src-contract/localapi/prefs.ts'
import { ipnStateNumber } from '../../src-contract/localapi/state.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import { DEFAULT_CONTROL_URL, netfilterWarning, upPrefFlags } from '../settings/pref-flags.ts'
import { acceptRiskFlag } from '../settings/risk.ts'
import { advertisesExitNode } from '../settings/routes.ts'
import { goJson } from '../text/go-json.ts'
import { CommandError, type FlagSpec, type Invocation, type Terminal } from '../verb.ts'

export const bringUpFlags: readonly FlagSpec[] = [
  ...upPrefFlags.map(({ spec }) => spec),
  {
    name: 'auth-key',
    kind: 'text',
    default: '',
    secret: true,
    help: 'key to join with; "file:PATH" reads it from a file, which keeps it out of the process list',
  },
  { name: 'timeout', kind: 'duration', help: 'how long to wait for the network; 0s waits for ever', default: 0 },
  { name: 'qr', kind: 'bool', help: 'show the sign-in address as a QR code too', default: false },
  { name: 'qr-format', kind: 'text', help: 'size of the QR code (auto, ascii, large, small)', default: 'auto' },
  { name: 'host-routes', kind: 'bool', help: 'always true', default: true, hidden: true },
  acceptRiskFlag,
]

const TIMED_OUT = 'timeout waiting for Pintail service to enter a Running state; check health with "pintail status"'

/** A healthy network is up well before. */
const PATIENCE_MS = 5000

/** Health texts that matter to somebody who has just come up; the rest is for `status`. */
const WORTH_TELLING = [
  'ssh enabled, but ',
  'some peers are advertising routes but --accept-routes is false',
  'this node is locked out; it will not have connectivity until it is signed',
  'lock state is only being stored in-memory',
  'update available: ',
]

export interface Wish {
  readonly client: LocalClient
  readonly prefs: Prefs
  readonly status: Status
  readonly authKey: string
  readonly forceReauth: boolean
  readonly json: boolean
}

export async function readAuthKey(call: Invocation): Promise<string> {
  const typed = call.flags.text('auth-key')
  if (!typed.startsWith('file:')) return typed
  const path = typed.slice('file:'.length)
  try {
    return (await call.terminal.readFile(path)).trim()
  } catch (error) {
    throw new CommandError(`cannot read the auth key from ${path}: ${(error as { code?: string }).code ?? 'error'}`)
  }
}

export async function bringUp(call: Invocation, wish: Wish): Promise<void> {
  const { client, terminal } = { client: wish.client, terminal: call.terminal }
  const overdue = new AbortController()
  const timeoutMs = call.flags.ms('timeout')
  const timer = timeoutMs > 0 ? setTimeout(() => overdue.abort(), timeoutMs) : undefined
  const signal = AbortSignal.any([overdue.signal, terminal.interrupted])
  try {
    const watch = await client.watch({ mask: 0, signal })
    const told = new Told(call, wish)
    terminal.sleep(PATIENCE_MS, signal).then(
      () => told.stillWaiting(),
      () => undefined, // it is over before patience is
    )
    const waiting = waitForRunning(watch, told, wish)
    const sending = sendWish(wish, signal)
    // Whichever fails first ends the command; success needs both.
    await Promise.all([waiting, sending])
    await told.success()
  } catch (error) {
    if (signal.aborted) throw new CommandError(TIMED_OUT)
    throw error
  } finally {
    clearTimeout(timer)
    overdue.abort() // ends the watch
  }
}

async function sendWish({ client, prefs, status, authKey, forceReauth }: Wish, signal: AbortSignal): Promise<void> {
  await client.checkPrefs(prefs, { signal })
  const start: StartOptions = { UpdatePrefs: prefs, ...(authKey === '' ? {} : { AuthKey: authKey }) }
  await client.start(start, { signal })
  if (forceReauth || status.HaveNodeKey !== true) await client.loginInteractive({ signal })
}

async function waitForRunning(watch: Awaited<ReturnType<LocalClient['watch']>>, told: Told, wish: Wish) {
  const oldKey = wish.status.Self?.PublicKey
  let hasNewKey = !wish.forceReauth
  let isRunning = false
  for await (const notify of watch) {
    if (notify.ErrMessage) throw new CommandError(`backend error: ${notify.ErrMessage}`)
    if (notify.Health) told.heard(notify.Health)
    if (notify.SelfChange !== undefined && notify.SelfChange.Key !== oldKey) hasNewKey = true
    if (notify.State === ipnStateNumber('NeedsMachineAuth')) told.needsApproval()
    if (notify.State !== null && notify.State !== undefined) isRunning = notify.State === ipnStateNumber('Running')
    if (notify.BrowseToURL) await told.visit(notify.BrowseToURL)
    if (isRunning && hasNewKey) return
  }
  throw new CommandError('the daemon ended the connection before the network was up')
}

/** What the person has been told so far. */
class Told {
  readonly #call: Invocation
  readonly #wish: Wish
  #something = false
  #warnings: string[] = []

  constructor(call: Invocation, wish: Wish) {
    this.#call = call
    this.#wish = wish
  }

  async visit(url: string): Promise<void> {
    const { authKey, forceReauth, status, json } = this.#wish
    if (authKey !== '' || (forceReauth && url === status.AuthURL)) return
    const { terminal, flags } = this.#call
    this.#something = true
    if (json) {
      const QR = await QRCode.toDataURL(url)
      terminal.out(`${goJson({ AuthURL: url, QR, BackendState: 'NeedsLogin' }, '\t')}\n`)
      return
    }
    terminal.err(`\nTo authenticate, visit:\n\n\t${url}\n\n`)
    if (flags.bool('qr')) terminal.draw(`${await qrText(url, flags.text('qr-format'))}\n`)
  }

  needsApproval(): void {
    const { json, prefs } = this.#wish
    const { terminal } = this.#call
    if (json) terminal.out(`${goJson({ BackendState: 'NeedsMachineAuth' }, '\t')}\n`)
    else terminal.err(`\nTo approve your machine, visit (as admin):\n\n\t${adminUrl(prefs.ControlURL)}\n\n`)
    this.#something = true
  }

  heard({ Warnings }: NonNullable<Notify['Health']>): void {
    const grave = Object.values(Warnings ?? {}).filter(({ Severity }) => Severity !== 'low')
    this.#warnings = grave.map(({ Title, Text }) => Text || Title)
  }

  /** Nothing to visit, nothing to approve, and still not running: what the daemon complains about. */
  stillWaiting(): void {
    if (this.#something || this.#wish.json || this.#warnings.length === 0) return
    this.#call.terminal.err(`Still waiting:\n${this.#warnings.map((text) => `  - ${text}\n`).join('')}`)
  }

  async success(): Promise<void> {
    const { client, json } = this.#wish
    const { terminal } = this.#call
    if (json) terminal.out(`${goJson({ BackendState: 'Running' }, '  ')}\n`)
    else if (this.#something) terminal.err('Success.\n')
    await printUpHealth(client, terminal)
  }
}

function adminUrl(controlUrl: string): string {
  const url = controlUrl === '' || controlUrl === DEFAULT_CONTROL_URL ? 'https://login.tailscale.com' : controlUrl
  return `${url.replace(/\/+$/, '')}/admin`
}

async function qrText(url: string, format: string): Promise<string> {
  if (format === 'ascii') {
    const { modules } = QRCode.create(url)
    const row = (y: number) =>
      Array.from({ length: modules.size }, (_, x) => (modules.get(y, x) ? '##' : '  ')).join('')
    return Array.from({ length: modules.size }, (_, y) => `    ${row(y)}`).join('\n')
  }
  return QRCode.toString(url, { type: 'terminal', small: format !== 'large' })
}

export async function printUpHealth(client: LocalClient, terminal: Terminal): Promise<void> {
  const { Health } = await client.status({ peers: false })
  const warnings = (Health ?? []).filter((text) => WORTH_TELLING.some((part) => text.toLowerCase().includes(part)))
  if (warnings.length === 1) terminal.out(`${warnings[0]}\n`)
  if (warnings.length > 1) {
    terminal.out(`# Health check warnings:\n${warnings.map((text) => `#     - ${text}\n`).join('')}`)
  }
}

/** Settings that the machine may not be able to keep; not fatal. */
export async function warnAboutSettings(
  client: LocalClient,
  terminal: Terminal,
  prefs: Prefs,
  what: { netfilter: boolean; routes: boolean },
): Promise<void> {
  const netfilter = what.netfilter ? netfilterWarning(prefs) : undefined
  if (netfilter !== undefined) terminal.out(`Warning: ${netfilter}\n`)
  if (what.routes && prefs.NoSNAT && advertisesExitNode(prefs.AdvertiseRoutes))
    terminal.out(
      'Warning: --snat-subnet-routes=false is set with --advertise-exit-node; internet traffic through this exit node may not work as expected\n',
    )
  if (!what.routes || (prefs.AdvertiseRoutes ?? []).length === 0) return
  for (const endpoint of ['check-ip-forwarding', 'check-udp-gro-forwarding']) {
    const reply = (await client.json('GET', endpoint).catch(() => null)) as { Warning?: string } | null
    if (reply?.Warning) terminal.out(`Warning: ${reply.Warning}\n`)
  }
}
