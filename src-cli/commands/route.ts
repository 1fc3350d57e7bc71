/** `pintail route`: where traffic goes and why, and which networks of others are used. */
import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import type { SubnetRoute, SubnetRoutes } from '../../src-contract/localapi/subnet-routes.ts'
import { acceptRiskFlag } from '../settings/risk.ts'
import { asksForSafety, makeChange, safeApplyFlags } from '../settings/safe-apply.ts'
import { goJson } from '../text/go-json.ts'
import { alignTabs } from '../text/table.ts'
import { oneCell } from '../text/visible.ts'
import { CommandError, type Invocation, refuseArgs, type Verb } from '../verb.ts'
import { explanationText } from './route-explain-text.ts'

const jsonFlag = { name: 'json', kind: 'bool', help: 'print JSON', default: false } as const

export const route: Verb = {
  name: 'route',
  summary: 'Show where traffic goes, and choose which networks of others to use',
  examples: ['pintail route explain 10.0.1.100', 'pintail route list', 'pintail route off 192.168.1.0/24'],
  verbs: [
    {
      name: 'explain',
      summary: 'Show where traffic to an address, a network or a name goes, and why',
      args: '<address|network|name>',
      details: `Shows the rule, table, interface and machine that win, what would have taken the traffic otherwise, and
whether the operating system says the same.`,
      examples: [
        'pintail route explain 10.0.1.100',
        'pintail route explain --port=22 git.corp.example',
        'pintail route explain 10.0.0.0/8',
        'pintail route explain --user=build --json 1.1.1.1',
      ],
      flags: [
        { name: 'from', kind: 'text', help: 'for programs that use this source address' },
        { name: 'port', kind: 'int', help: 'to this port', default: 0 },
        { name: 'proto', kind: 'text', help: 'tcp, udp or icmp (tcp when a port is given)' },
        { name: 'user', kind: 'text', help: 'for programs of this user, by name or number (default: you)' },
        jsonFlag,
      ],
      run: explain,
    },
    {
      name: 'list',
      summary: 'Show networks that other machines offer, and whether they are used',
      examples: ['pintail route list', 'pintail route list --json'],
      flags: [jsonFlag],
      async run(call) {
        refuseArgs(call)
        say(call, await readRoutes(await call.connect()))
        return 0
      },
    },
    {
      name: 'off',
      summary: 'Do not use these networks',
      args: '<network…>',
      examples: ['pintail route off 192.168.1.0/24'],
      flags: [jsonFlag, ...safeApplyFlags, acceptRiskFlag],
      run: (call) => edit(call, 'Off'),
    },
    {
      name: 'on',
      summary: 'Use these networks again',
      args: '<network…>',
      examples: ['pintail route on 192.168.1.0/24'],
      flags: [jsonFlag, ...safeApplyFlags, acceptRiskFlag],
      run: (call) => edit(call, 'On'),
    },
  ],
}

async function explain({ args, flags, connect, terminal }: Invocation): Promise<number> {
  const [to, ...rest] = args
  if (to === undefined) throw new CommandError('name an address, a network or a name: pintail route explain 10.0.1.100')
  if (rest.length > 0) {
    const order = rest.some((word) => word.startsWith('-')) ? ' (flags come before the address)' : ''
    throw new CommandError(`unexpected extra arguments: ${rest.join(' ')}${order}`)
  }
  const user = flags.text('user')
  const whose = /^\d+$/.test(user) ? { uid: Number(user) } : { user }
  const client = await connect()
  const asked = { to, from: flags.text('from'), proto: flags.text('proto'), port: flags.int('port'), ...whose }
  const answer = await refusedInWords(client.explainRoute(asked))
  if (answer === undefined) throw new CommandError('this daemon cannot explain routes; pintaild can')
  terminal.out(flags.bool('json') ? `${goJson(answer)}\n` : explanationText(answer))
  return 0
}

async function refusedInWords<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof LocalApiError && (error.status === 400 || error.status === 503))
      throw new CommandError(error.message)
    throw error
  }
}

async function readRoutes(client: LocalClient): Promise<SubnetRoutes> {
  const features = await client.pintailFeatures()
  if (features?.features.includes('routes') !== true)
    throw new CommandError('this daemon does not show single routes; pintaild does')
  return (await client.json('GET', 'pintail/routes')) as SubnetRoutes
}

async function edit(call: Invocation, word: 'Off' | 'On'): Promise<number> {
  if (call.args.length === 0) throw new CommandError(`name a network: pintail ${call.path} 192.168.1.0/24`)
  const client = await call.connect()
  await readRoutes(client)
  const Routes = { [word]: [...call.args] }
  const code = await makeChange(call, client, { Routes }, async () => {
    await refusedInWords(client.json('PATCH', 'pintail/routes', { json: Routes }))
  })
  if (code === 0 && !asksForSafety(call)) say(call, await readRoutes(client))
  return code
}

const STATES: { readonly [reason in SubnetRoute['Reason']]: string } = {
  '': 'used',
  'not-accepted': 'not accepted',
  off: 'off',
  'at-home': 'not used: you are in it',
  taken: 'another machine has it',
}

function say({ flags, terminal }: Invocation, { Routes, Off }: SubnetRoutes): void {
  if (flags.bool('json')) {
    terminal.out(`${goJson({ Routes, Off })}\n`)
    return
  }
  const unoffered = Off.filter((prefix) => !Routes.some(({ Prefix }) => Prefix === prefix))
  if (Routes.length === 0) terminal.out('No machine offers a network.\n')
  else {
    const rows = Routes.map(
      ({ Prefix, ViaName, Online, Reason }) =>
        `${Prefix}\t${oneCell(ViaName)}\t${Online ? 'online' : 'offline'}\t${STATES[Reason] ?? Reason}\n`,
    )
    terminal.out(alignTabs(['NETWORK\tROUTER\tIS\tSTATE\n', ...rows].join(''), { padding: 2 }))
  }
  if (Routes.some(({ Reason }) => Reason === 'not-accepted'))
    terminal.out('\nTo use networks of others: pintail set --accept-routes\n')
  if (unoffered.length > 0) terminal.out(`\nOff, and offered by nobody at present: ${unoffered.join(', ')}\n`)
}
