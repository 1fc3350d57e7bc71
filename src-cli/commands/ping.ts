/** `pintail ping`: does a peer answer, and which way do the packets go? [docs/rules/cli.md CLI-5] */

import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { PingResult, PingType } from '../../src-contract/localapi/ping.ts'
import { durationText, roundDuration } from '../text/duration.ts'
import { quote } from '../text/quote.ts'
import { CommandError, type Invocation, type Verb } from '../verb.ts'
import { resolveTarget } from './peer-names.ts'
import { refuseUnlessRunning } from './status.ts'

const PAUSE_MS = 1000

export const ping: Verb = {
  name: 'ping',
  summary: 'Ping a machine through the tunnel and see the way it takes',
  args: '[flags] <name or address>',
  details: `The first answers may come over a relay while a direct way is being found; it stops after 10 pings
or once the way is direct. If this works and an ordinary ping does not, a firewall on one of the
machines blocks it: these pings do not pass through the system's network interface.`,
  examples: ['pintail ping nas', 'pintail ping -c 3 --until-direct=false 100.64.0.2', 'pintail ping --tsmp nas'],
  flags: [
    { name: 'c', kind: 'int', help: 'how many pings at most; 0 = no limit', default: 10 },
    { name: 'icmp', kind: 'bool', help: "ping through the tunnel to the peer's operating system", default: false },
    { name: 'peerapi', kind: 'bool', help: "ask the peer's HTTP service", default: false },
    { name: 'size', kind: 'int', help: 'bytes of the message (plain pings only); 0 = smallest', default: 0 },
    { name: 'timeout', kind: 'duration', help: 'wait this long for each answer (default 5s)' },
    { name: 'tsmp', kind: 'bool', help: 'ping through the tunnel, not the operating systems', default: false },
    { name: 'until-direct', kind: 'bool', help: 'stop once the way is direct', default: true },
    { name: 'verbose', kind: 'bool', help: 'say more', default: false },
  ],
  run,
}

const DEFAULT_TIMEOUT_MS = 5000

async function run(call: Invocation): Promise<number> {
  const { args, flags, terminal } = call
  const client = await call.connect()
  const status = await client.status()
  if (!refuseUnlessRunning(status, terminal)) return 1
  const [typed] = args
  if (args.length !== 1 || typed === undefined) throw new CommandError('usage: ping <hostname-or-IP>')
  const { ip, isSelf } = await resolveTarget(typed, status, terminal)
  if (isSelf) {
    terminal.out(`${ip} is local Pintail IP\n`)
    return 0
  }
  if (flags.bool('verbose') && ip !== typed) terminal.out(`lookup ${quote(typed)} => ${quote(ip)}\n`)

  const type = pingType(flags)
  const count = flags.int('c')
  const untilDirect = flags.bool('until-direct') && type === 'disco'
  const timeoutMs = flags.given('timeout') ? flags.ms('timeout') : DEFAULT_TIMEOUT_MS
  let anyPong = false
  for (let sent = 1; ; sent++) {
    const result = await pingOnce(call, client, { ip, type, size: flags.int('size'), timeoutMs })
    if (result === 'timeout') {
      terminal.out(`ping ${quote(ip)} timed out\n`)
    } else {
      if (result.Err) {
        if (result.IsLocalIP !== true) throw new CommandError(result.Err)
        terminal.out(`${result.Err}\n`)
        return 0
      }
      anyPong = true
      terminal.out(`${pongText(result, type)}\n`)
      if (type !== 'disco' || (untilDirect && result.Endpoint !== '')) return 0
    }
    if (count > 0 && sent >= count) break
    if (result !== 'timeout') await terminal.sleep(PAUSE_MS, terminal.interrupted)
  }
  if (!anyPong) throw new CommandError('no reply')
  if (untilDirect) throw new CommandError('direct connection not established')
  return 0
}

function pingType(flags: Invocation['flags']): PingType {
  if (flags.bool('tsmp')) return 'TSMP'
  if (flags.bool('icmp')) return 'ICMP'
  return flags.bool('peerapi') ? 'peerapi' : 'disco'
}

async function pingOnce(
  { terminal }: Invocation,
  client: Awaited<ReturnType<Invocation['connect']>>,
  ask: { ip: string; type: PingType; size: number; timeoutMs: number },
): Promise<PingResult | 'timeout'> {
  const late = AbortSignal.timeout(ask.timeoutMs)
  try {
    return await client.ping(ask.ip, ask.type, {
      size: ask.size,
      signal: AbortSignal.any([late, terminal.interrupted]),
    })
  } catch (error) {
    if (terminal.interrupted.aborted) throw error
    if (late.aborted || (error instanceof LocalApiError && error.code === 'timeout')) return 'timeout'
    throw error
  }
}

export function pongText(result: PingResult, type: PingType): string {
  const latency = durationText(roundDuration(result.LatencySeconds * 1e9, 1e6))
  if (type === 'peerapi')
    return `hit peerapi of ${result.NodeIP} (${result.NodeName}) at ${result.PeerAPIURL ?? ''} in ${latency}`
  const port = result.PeerAPIPort ? `, ${result.PeerAPIPort}` : ''
  return `pong from ${result.NodeName} (${result.NodeIP}${port}) via ${viaText(result, type)} in ${latency}`
}

function viaText(result: PingResult, type: PingType): string {
  if (result.DERPRegionID !== 0) return `DERP(${result.DERPRegionCode})`
  if (result.PeerRelay) return `peer-relay(${result.PeerRelay})`
  return result.Endpoint === '' ? type : result.Endpoint
}
