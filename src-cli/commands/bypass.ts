/** `pintail bypass`: what does not take the exit node, and what might better not. */
import type { LocalClient } from '../../src-client/local-client.ts'
import type { BypassReport, BypassSetting, BypassSuggestion } from '../../src-contract/localapi/bypass.ts'
import { bypassText, mustHave, parseBypassText, readBypass, writeBypass } from '../settings/bypass.ts'
import { acceptRiskFlag } from '../settings/risk.ts'
import { asksForSafety, makeChange, safeApplyFlags } from '../settings/safe-apply.ts'
import { goJson } from '../text/go-json.ts'
import { shellQuote } from '../text/shell-quote.ts'
import { alignTabs } from '../text/table.ts'
import { CommandError, type Invocation, refuseArgs, type Verb } from '../verb.ts'

const jsonFlag = { name: 'json', kind: 'bool', help: 'print JSON', default: false } as const
const WORDS =
  'An entry is a network (10.0.0.0/16), a domain with all below it (*.corp.example), "interface:wt0" for all that belongs to another VPN, "user:NAME" or "cgroup:PATH".'

export const bypass: Verb = {
  name: 'bypass',
  summary: 'Choose what does not take the exit node',
  details: WORDS,
  examples: [
    'pintail bypass suggest',
    'pintail bypass add interface:wt0',
    'pintail bypass list',
    'pintail set --exit-node-bypass=10.0.0.0/16,*.corp.example',
  ],
  verbs: [
    {
      name: 'list',
      summary: 'Show what is set, and what of it is in effect',
      examples: ['pintail bypass list', 'pintail bypass list --json'],
      flags: [jsonFlag],
      async run(call) {
        refuseArgs(call)
        say(call, await readBypass(await call.connect()))
        return 0
      },
    },
    {
      name: 'suggest',
      summary: 'Show networks of other VPNs that an exit node would swallow',
      examples: ['pintail bypass suggest'],
      flags: [jsonFlag],
      async run(call) {
        refuseArgs(call)
        const client = await call.connect()
        await mustHave(client)
        const found = (await client.json('GET', 'pintail/bypass/suggestions')) as BypassSuggestion[]
        if (call.flags.bool('json')) call.terminal.out(`${goJson(found)}\n`)
        else if (found.length === 0) call.terminal.out('No other VPN has networks here.\n')
        else
          for (const { Interface, Prefixes } of found)
            call.terminal.out(
              `${Interface} has ${shortList(Prefixes)}. To keep them: pintail bypass add ${shellQuote(`interface:${Interface}`)}\n`,
            )
        return 0
      },
    },
    {
      name: 'add',
      summary: 'Add entries',
      args: '<entry…>',
      details: WORDS,
      examples: ['pintail bypass add 10.0.0.0/16', 'pintail bypass add interface:wt0 *.corp.example'],
      flags: [jsonFlag, ...safeApplyFlags, acceptRiskFlag],
      run: (call) => change(call, (now, words) => merge(now, words)),
    },
    {
      name: 'remove',
      summary: 'Remove entries',
      args: '<entry…>',
      examples: ['pintail bypass remove interface:wt0'],
      flags: [jsonFlag, ...safeApplyFlags, acceptRiskFlag],
      run: (call) => change(call, (now, words) => without(now, words)),
    },
  ],
}

async function change(
  call: Invocation,
  edit: (now: BypassSetting, words: BypassSetting) => BypassSetting,
): Promise<number> {
  if (call.args.length === 0) throw new CommandError(`name an entry: pintail ${call.path} 10.0.0.0/16`)
  const client: LocalClient = await call.connect()
  const { Setting } = await readBypass(client)
  const Bypass = edit(Setting, parseBypassText(call.args.join(',')))
  const code = await makeChange(call, client, { Bypass }, async () => void (await writeBypass(client, Bypass)))
  if (code === 0 && !asksForSafety(call)) say(call, await readBypass(client))
  return code
}

function merge(now: BypassSetting, more: BypassSetting): BypassSetting {
  return parseBypassText([bypassText(now), bypassText(more)].filter((text) => text !== '').join(','))
}

function without(now: BypassSetting, less: BypassSetting): BypassSetting {
  const entries = bypassText(now).split(',')
  const gone = bypassText(less).split(',')
  const unknown = gone.filter((entry) => !entries.includes(entry))
  if (unknown.length > 0)
    throw new CommandError(`not in the bypass: ${unknown.join(', ')}; "pintail bypass list" shows what is`)
  return parseBypassText(entries.filter((entry) => !gone.includes(entry)).join(','))
}

function say({ flags, terminal }: Invocation, report: BypassReport): void {
  if (flags.bool('json')) {
    terminal.out(`${goJson(report)}\n`)
    return
  }
  const text = bypassText(report.Setting)
  terminal.out(text === '' ? 'Everything takes the exit node, when there is one.\n' : `Past the exit node: ${text}\n`)
  for (const missing of report.Missing) terminal.out(`Not here at present: ${missing}\n`)
  if (report.InEffect.length === 0) return
  const rows = report.InEffect.map(({ Prefix, From }) => `${Prefix}\t${From}\n`)
  terminal.out(`\n${alignTabs(['NETWORK\tFROM\n', ...rows].join(''), { minWidth: 10, padding: 2 })}`)
}

function shortList(prefixes: readonly string[]): string {
  return prefixes.length <= 4
    ? prefixes.join(', ')
    : `${prefixes.slice(0, 3).join(', ')} and ${prefixes.length - 3} more`
}
