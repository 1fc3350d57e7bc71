/** Exit nodes as commands to the daemon: what each choice changes of the preferences, and what is known afterwards. */
import { isLocalApiError } from '../src-client/local-api-error.ts'
import type { LocalClient } from '../src-client/local-client.ts'
import type { ExitCheck, ExitChoice, ExitState } from '../src-contract/app/exit.ts'
import type { DnsQueryReply } from '../src-contract/localapi/dns.ts'
import type { Mirror } from '../src-contract/localapi/mirror.ts'
import type { MaskedPrefs } from '../src-contract/localapi/prefs.ts'
import { AppError } from './app-error.ts'
import { AUTO_ANY, exitNow } from './link/exit-view.ts'
import { cleanText } from './link/names.ts'

const PING_MS = 2000
const PING_ATTEMPTS = 3
const NAMES_MS = 5000

/**
 * `keepsAuto`: another one may still take over later. Only our daemon leaves a chosen one alone while it works; others
 * would replace it at once.
 */
export function chooseNode(id: string, keepsAuto: boolean): MaskedPrefs {
  return {
    ExitNodeID: id,
    ExitNodeIDSet: true,
    ExitNodeIP: '',
    ExitNodeIPSet: true,
    AutoExitNode: keepsAuto || id === AUTO_ANY ? 'any' : '',
    AutoExitNodeSet: true,
  }
}

export async function chooseExit(
  client: LocalClient,
  choice: ExitChoice,
  { state, isOurs }: { state: ExitState; isOurs: boolean },
): Promise<void> {
  const keepsAuto = isOurs && state.takesOver && state.now.kind !== 'off'
  switch (choice.kind) {
    case 'off':
      // Not an empty id: this way the daemon remembers the choice, for every client.
      return toggle(client, false)
    case 'auto':
      return edit(client, chooseNode(AUTO_ANY, true))
    case 'node':
      return edit(client, chooseNode(choice.id, keepsAuto))
    case 'last':
      if (state.last.kind === 'none') throw new AppError('not-found', '')
      return edit(client, chooseNode(state.last.kind === 'auto' ? AUTO_ANY : state.last.id, false))
  }
}

export function setAllowLan(client: LocalClient, on: boolean): Promise<void> {
  return edit(client, { ExitNodeAllowLANAccess: on, ExitNodeAllowLANAccessSet: true })
}

export async function setTakesOver(client: LocalClient, on: boolean, { now }: ExitState): Promise<void> {
  // Without the automatic there would be no choice left, and everything would leave uncovered.
  if (!on && (now.kind === 'off' || now.id === '')) throw new AppError('not-allowed', '')
  await edit(client, { AutoExitNode: on ? 'any' : '', AutoExitNodeSet: true })
}

async function edit(client: LocalClient, masked: MaskedPrefs): Promise<void> {
  await client.editPrefs(masked)
}

async function toggle(client: LocalClient, enabled: boolean): Promise<void> {
  await client.request('POST', 'set-use-exit-node-enabled', { query: { enabled } })
}

/** Asks the exit node itself, the way names are looked up now, and the daemon. Nobody outside of the network. */
export async function checkExit(client: LocalClient, mirror: () => Mirror): Promise<ExitCheck> {
  // The bus may not have told yet what was chosen a moment ago.
  const now = { ...mirror(), prefs: await client.prefs() }
  const [node, names] = await Promise.all([askNode(client, now), askNames(client, now)])
  const health = [...mirror().health.values()]
    .filter(({ Severity }) => Severity !== 'low')
    .map(({ Title, WarnableCode }) => cleanText(Title || WarnableCode, 200))
  return { node, names, health }
}

async function askNode(client: LocalClient, mirror: Mirror): Promise<ExitCheck['node']> {
  const now = exitNow(mirror)
  if (now.kind === 'off') return { kind: 'not-asked' }
  const peer = [...mirror.peers.values()].find(({ StableID }) => StableID === now.id)
  const address = peer?.Addresses?.[0]?.replace(/\/\d+$/, '')
  if (peer === undefined || address === undefined) return { kind: 'silent', message: '' }
  if (peer.IsWireGuardOnly === true) return { kind: 'not-asked' }
  let message = ''
  for (let attempt = 0; attempt < PING_ATTEMPTS; attempt++) {
    try {
      const result = await client.ping(address, 'disco', { signal: AbortSignal.timeout(PING_MS) })
      if (result.Err === '') return { kind: 'answered', latencyMs: result.LatencySeconds * 1000 }
      message = cleanText(result.Err, 200)
    } catch (error) {
      message = failure(error)
    }
  }
  return { kind: 'silent', message }
}

/** The root's name servers: every resolver knows them, and they tell nothing of us. */
async function askNames(client: LocalClient, { prefs }: Mirror): Promise<ExitCheck['names']> {
  if (prefs?.CorpDNS !== true) return { kind: 'not-asked' }
  try {
    const signal = AbortSignal.timeout(NAMES_MS)
    const reply = (await client.json('GET', 'dns-query', { query: { name: '.', type: 'NS' }, signal })) as DnsQueryReply
    return hasAnswer(reply) ? { kind: 'answered' } : { kind: 'silent', message: '' }
  } catch (error) {
    if (isLocalApiError(error) && error.code !== 'timeout') return { kind: 'not-asked' }
    return { kind: 'silent', message: failure(error) }
  }
}

/** Anything but "server failure": who refuses has been reached as well. */
function hasAnswer({ Bytes }: Partial<DnsQueryReply>): boolean {
  const bytes = Buffer.from(typeof Bytes === 'string' ? Bytes : '', 'base64')
  return bytes.length >= 12 && (bytes[3]! & 0x0f) !== 2
}

/** "" stands for no answer in time. */
function failure(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return ''
  if (isLocalApiError(error)) return cleanText(error.message, 200)
  throw error
}
