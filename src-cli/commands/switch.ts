/** `pintail switch`: between the accounts that this machine is logged in to. */
import type { LocalClient } from '../../src-client/local-client.ts'
import type { LoginProfile } from '../../src-contract/localapi/prefs.ts'
import { goJson } from '../text/go-json.ts'
import { quote } from '../text/quote.ts'
import { alignTabs } from '../text/table.ts'
import { CommandError, type Invocation, type Terminal, type Verb } from '../verb.ts'

const POLL_MS = 100

export const switchVerb: Verb = {
  name: 'switch',
  summary: 'Switch to another account',
  args: '<account> | --list [--json]',
  details: 'An account is named by its ID from "pintail switch --list", its network, or its own name.',
  examples: ['pintail switch --list', 'pintail switch work', 'pintail switch remove 1ab3'],
  flags: [
    { name: 'list', kind: 'bool', help: 'list the accounts', default: false },
    { name: 'json', kind: 'bool', help: 'with --list: as JSON', default: false },
  ],
  verbs: [
    {
      name: 'remove',
      summary: 'Forget an account on this machine',
      args: '<account>',
      examples: ['pintail switch remove work'],
      run: remove,
    },
  ],
  run,
}

async function run(call: Invocation): Promise<number> {
  const { args, flags, terminal } = call
  if (flags.bool('list')) return list(await call.connect(), terminal, flags.bool('json'))
  if (flags.bool('json')) return usage(terminal, '--json argument cannot be used with pintail switch NAME')
  const [wanted] = args
  if (args.length !== 1 || wanted === undefined) return usage(terminal, 'usage: pintail switch NAME')
  const client = await call.connect()
  const current = await client.currentProfile()
  const profile = await find(client, wanted)
  if (profile.ID === current.ID) {
    terminal.out(`Already on account ${quote(wanted)}\n`)
    return 0
  }
  await client.switchProfile(profile.ID)
  terminal.out(`Switching to account ${quote(wanted)}\n`)
  return settle(client, terminal)
}

function usage(terminal: Terminal, text: string): number {
  terminal.out(`${text}\n`)
  return 1
}

async function settle(client: LocalClient, terminal: Terminal): Promise<number> {
  for (;;) {
    const { BackendState } = await client.status({ peers: false })
    if (BackendState === 'Running') {
      terminal.out('Success.\n')
      return 0
    }
    if (BackendState === 'NeedsLogin') {
      terminal.out('Logged out.\nTo log in, run:\n  pintail up\n')
      return 0
    }
    if (BackendState === 'Stopped') return 0 // it was down before, too
    await terminal.sleep(POLL_MS, terminal.interrupted)
  }
}

async function remove(call: Invocation): Promise<number> {
  const [wanted] = call.args
  if (call.args.length !== 1 || wanted === undefined) return usage(call.terminal, 'usage: pintail switch remove NAME')
  const client = await call.connect()
  const profile = await find(client, wanted)
  await client.deleteProfile(profile.ID)
  return 0
}

async function list(client: LocalClient, terminal: Terminal, json: boolean): Promise<number> {
  const current = await client.currentProfile()
  const profiles = await client.profiles()
  const rows = profiles.map((profile) => ({
    id: profile.ID,
    nickname: profile.Name,
    tailnet: tailnetOf(profile),
    account: profile.UserProfile.LoginName,
    selected: profile.ID === current.ID,
  }))
  if (json) {
    terminal.out(`${goJson(rows, '  ')}\n`)
    return 0
  }
  const lines = rows.map((row, i) => {
    const name = profiles[i]?.Name || row.account
    return `${row.id}\t${row.tailnet}\t${name}${row.selected ? '*' : ''}\n`
  })
  terminal.out(alignTabs(`ID\tTailnet\tAccount\n${lines.join('')}`, { minWidth: 2, padding: 2 }))
  return 0
}

function tailnetOf({ NetworkProfile }: LoginProfile): string {
  return NetworkProfile?.DisplayName || NetworkProfile?.DomainName || ''
}

async function find(client: LocalClient, wanted: string): Promise<LoginProfile> {
  const profiles = await client.profiles()
  const ways: ((profile: LoginProfile) => string | undefined)[] = [
    (profile) => profile.ID,
    (profile) => profile.NetworkProfile?.DomainName,
    (profile) => profile.Name,
    (profile) => profile.NetworkProfile?.DisplayName,
  ]
  for (const way of ways) {
    const found = profiles.find((profile) => way(profile) === wanted)
    if (found !== undefined) return found
  }
  throw new CommandError(`No profile named ${quote(wanted)}`)
}
