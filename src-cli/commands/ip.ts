/** `pintail ip`: addresses, one per line. */
import { isIPv4 } from 'node:net'
import { canonicalIp } from '../text/address.ts'
import { quote } from '../text/quote.ts'
import { CommandError, type Invocation, type Verb } from '../verb.ts'
import { resolveTarget } from './peer-names.ts'

export const ip: Verb = {
  name: 'ip',
  summary: 'Show addresses of this machine or another',
  args: '[-1] [-4] [-6] [name or address]',
  examples: ['pintail ip', 'pintail ip -4 nas', 'pintail ip --assert=100.64.0.1'],
  flags: [
    { name: '1', kind: 'bool', help: 'only one address', default: false },
    { name: '4', kind: 'bool', help: 'only the IPv4 address', default: false },
    { name: '6', kind: 'bool', help: 'only the IPv6 address', default: false },
    { name: 'assert', kind: 'text', help: 'succeed silently if this is one of the addresses', default: '' },
  ],
  run,
}

async function run(call: Invocation): Promise<number> {
  const { args, flags, terminal } = call
  if (args.length > 1) throw new CommandError('too many arguments, expected at most one peer')
  const [v4, v6, one] = [flags.bool('4'), flags.bool('6'), flags.bool('1')]
  if (Number(v4) + Number(v6) + Number(one) > 1)
    throw new CommandError('pintail ip -1, -4, and -6 are mutually exclusive')
  const client = await call.connect()
  const status = await client.status()
  const asserted = flags.text('assert')
  if (asserted !== '') {
    if (status.TailscaleIPs?.includes(canonicalIp(asserted) ?? '')) return 0
    const own = (status.TailscaleIPs ?? []).join(' ')
    throw new CommandError(`assertion failed: IP ${quote(asserted)} not found among [${own}]`)
  }
  let addresses = status.TailscaleIPs ?? []
  if (args[0] !== undefined) {
    const target = await resolveTarget(args[0], status, terminal)
    const nodes = [status.Self, ...Object.values(status.Peer ?? {})]
    const node = nodes.find(({ TailscaleIPs }) => TailscaleIPs?.includes(target.ip))
    if (node === undefined) throw new CommandError(`no peer or service found with IP ${target.ip}`)
    addresses = node.TailscaleIPs ?? []
  }
  if (addresses.length === 0) throw new CommandError(`no current Pintail IPs; state: ${status.BackendState}`)
  const family = addresses.filter((address) => (v4 ? isIPv4(address) : v6 ? !isIPv4(address) : true))
  if (family.length === 0) throw new CommandError(`no Pintail ${v4 ? 'IPv4' : 'IPv6'} address`)
  for (const address of one ? family.slice(0, 1) : family) terminal.out(`${address}\n`)
  return 0
}
