/**
 * The whole product's tunnel beside tailscaled and wireguard-go, on one network in one run. Each round gives each of them
 * each case once, so that a slow moment of the machine hits all; medians are printed.
 */
import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ControlServer } from '../lab/control-server.ts'
import { type Host, must } from '../lab/host.ts'
import { Internet } from '../lab/internet.ts'
import type { Sheet } from '../lab/measure-line.ts'
import { coverUapiFolder } from '../lab/plain-wireguard.ts'
import { type Contestant, type Ground, type Kind, openContestant, presentKinds, startDaemon } from './contestants.ts'
import { type CaseName, Results } from './goals.ts'
import { cpuNanoseconds, iperf, quantile, residentMiB, roundTrips, roundTripsUnderLoad, tcp, udp } from './load.ts'

const pintaild = fileURLToPath(new URL('../bin/pintaild.mjs', import.meta.url))
const quietMachines = fileURLToPath(new URL('../lab/quiet-machines.lab.ts', import.meta.url))

const IDLE_PINGS = 300
const LOADED_PINGS = 300
const IDLE_WATCH_MS = 20_000
const QUIET_PEERS = 100
const HUB_SPOKES = 8

export interface TunnelOptions {
  readonly sheet: Sheet
  readonly folder: string
  readonly rounds: number
  /** Parts to run; all when empty. */
  readonly only: readonly string[]
}

export const tunnelParts = ['load', 'delay', 'idle', 'v6-outside', 'hub', 'plain'] as const

export async function benchTunnel({ sheet, folder, rounds, only }: TunnelOptions): Promise<void> {
  const started = performance.now()
  const say = (text: string) =>
    console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(5)} s  ${text}`)
  const wants = (part: (typeof tunnelParts)[number]) => only.length === 0 || only.includes(part)
  say(machineLine())
  await coverUapiFolder()
  await must(process.execPath, [pintaild, '--version']) // with the sources as they are now in Node's compile cache
  const kinds = presentKinds(say)
  const internet = await Internet.create()
  const results = new Results()
  const open: { close(): Promise<void> }[] = []
  try {
    const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
      folder: join(folder, 'c'),
    })
    open.push({ close: () => control.stop() })
    const ground: Ground = { internet, control, key: await control.createKey(), folder }
    const openPair = async (kind: Kind, tag: string, prepare?: (hosts: readonly [Host, Host]) => Promise<void>) => {
      say(`start ${kind} ${tag}`)
      const pair = await openContestant(ground, kind, { tag, ...(prepare === undefined ? {} : { prepare }) })
      open.push(pair)
      return pair
    }
    if (wants('idle') || wants('load') || wants('delay')) {
      const pairs: Contestant[] = []
      for (const kind of kinds) pairs.push(await openPair(kind, ''))
      for (const pair of pairs) results.add('resident memory, idle', pair.kind, residentMiB(pair.pids()))
      if (wants('idle')) await idle(ground, pairs, results, say)
      if (wants('delay')) await delay(pairs, results, rounds, say)
      if (wants('load')) await load(pairs, results, rounds, say)
      await Promise.all(pairs.map((pair) => pair.close()))
    }
    if (wants('v6-outside')) await ipv6Outside(kinds, openPair, results, rounds, say)
    if (wants('hub')) await hub(ground, kinds, results, rounds, open, say)
    if (wants('plain')) await plain(kinds, openPair, results, rounds, say)
    results.print(sheet)
    say('done')
  } finally {
    await Promise.all(open.map((one) => one.close()))
    await internet.close()
  }
}

async function load(pairs: Contestant[], results: Results, rounds: number, say: (text: string) => void): Promise<void> {
  for (let round = 1; round <= rounds; round++) {
    for (const pair of pairs) {
      say(`round ${round} of ${rounds}: ${pair.kind}`)
      const add = (name: CaseName, value: number) => results.add(name, pair.kind, value)
      const one = await tcp(pair, pair.v4, 1)
      const four = await tcp(pair, pair.v4, 4)
      add('TCP, 1 stream', one.gbits)
      add('TCP, 4 streams', four.gbits)
      add('CPU a gigabyte', one.cpuSecondsPerGb)
      const loadedTimes = await roundTripsUnderLoad(pair, LOADED_PINGS)
      add('round trip p50, under load', quantile(loadedTimes, 0.5))
      add('round trip p99, under load', quantile(loadedTimes, 0.99))
      add('UDP at 50 kpps, lost', (await udp(pair, 50)).lostPercent)
      add('UDP at 100 kpps, lost', (await udp(pair, 100)).lostPercent)
      const most = await udp(pair, 150)
      add('UDP at 150 kpps, lost', most.lostPercent)
      add('UDP at 150 kpps, sent', most.sentKpps)
      if (pair.v6 !== undefined) add('TCP inside IPv6', (await tcp(pair, pair.v6, 1)).gbits)
      add('resident memory, after load', residentMiB(pair.pids()))
    }
  }
}

/** Short turns, and more of them: what else runs on the machine shows in a late packet first. */
async function delay(
  pairs: Contestant[],
  results: Results,
  rounds: number,
  say: (text: string) => void,
): Promise<void> {
  for (let round = 1; round <= rounds * 2; round++) {
    say(`round trips, ${round} of ${rounds * 2}`)
    for (const pair of pairs) {
      const times = await roundTrips(pair, IDLE_PINGS)
      results.add('round trip p50, idle', pair.kind, quantile(times, 0.5))
      results.add('round trip p99, idle', pair.kind, quantile(times, 0.99))
    }
  }
}

/** All at once: nobody does anything, so nobody disturbs. */
async function idle(
  { internet, control, key }: Ground,
  pairs: Contestant[],
  results: Results,
  say: (text: string) => void,
): Promise<void> {
  const watch = async (name: CaseName, afterMs: number) => {
    await sleep(afterMs)
    const before = pairs.map((pair) => cpuNanoseconds(pair.pids()))
    await sleep(IDLE_WATCH_MS)
    for (const [i, pair] of pairs.entries()) {
      const spentMs = (cpuNanoseconds(pair.pids()) - before[i]!) / 1e6 / pair.pids().length
      results.add(name, pair.kind, spentMs / (IDLE_WATCH_MS / 1000))
    }
  }
  say('idle, when the last packet is a minute old')
  await watch('idle CPU, 1 peer', 60_000)
  say(`${QUIET_PEERS} machines join and fall silent`)
  const { host } = await internet.publicHost('quiet')
  await host.must(process.execPath, [quietMachines, control.url, key, String(QUIET_PEERS)], { timeoutMs: 60_000 })
  say('idle with quiet peers')
  await watch('idle CPU, 100 quiet peers', 10_000)
}

async function ipv6Outside(
  kinds: readonly Kind[],
  openPair: (kind: Kind, tag: string, prepare: (hosts: readonly [Host, Host]) => Promise<void>) => Promise<Contestant>,
  results: Results,
  rounds: number,
  say: (text: string) => void,
): Promise<void> {
  const pairs: Contestant[] = []
  let number = 0
  for (const kind of kinds.filter((one) => one !== 'wireguard-go')) {
    number++
    const prepare = async (hosts: readonly [Host, Host]) => {
      for (const [i, host] of hosts.entries()) {
        await host.must('ip', ['addr', 'add', `2001:db8:${number}::${i + 1}/64`, 'dev', 'eth0', 'nodad'])
        await host.rules(ONLY_V6)
      }
    }
    pairs.push(await openPair(kind, '-v6', prepare))
  }
  for (let round = 1; round <= rounds; round++) {
    for (const pair of pairs) {
      say(`IPv6 outside, round ${round} of ${rounds}: ${pair.kind}`)
      results.add('TCP, IPv6 outside', pair.kind, (await tcp(pair, pair.v4, 1)).gbits)
    }
  }
  await Promise.all(pairs.map((pair) => pair.close()))
}

/** Control and relay stay reachable over IPv4; datagrams between the two are not. */
const ONLY_V6 = `table inet only_v6 {
  chain out { type filter hook output priority filter; oifname "eth0" meta nfproto ipv4 meta l4proto 17 drop; }
}`

/** Plain WireGuard devices, without network, filter and paths of their own. */
async function plain(
  kinds: readonly Kind[],
  openPair: (kind: Kind, tag: string) => Promise<Contestant>,
  results: Results,
  rounds: number,
  say: (text: string) => void,
): Promise<void> {
  const pairs = [await openPair('plain', '-p')]
  if (kinds.includes('wireguard-go')) pairs.push(await openPair('wireguard-go', '-p'))
  for (let round = 1; round <= rounds; round++) {
    for (const pair of pairs) {
      say(`plain devices, round ${round} of ${rounds}: ${pair.kind}`)
      const one = await tcp(pair, pair.v4, 1)
      results.add('plain device, TCP, 1 stream', pair.kind, one.gbits)
      results.add('plain device, CPU a gigabyte', pair.kind, one.cpuSecondsPerGb)
      results.add('plain device, TCP, 4 streams', pair.kind, (await tcp(pair, pair.v4, 4)).gbits)
      const times = await roundTrips(pair, IDLE_PINGS)
      results.add('plain device, round trip p50, idle', pair.kind, quantile(times, 0.5))
      results.add('plain device, round trip p99, idle', pair.kind, quantile(times, 0.99))
    }
  }
  await Promise.all(pairs.map((pair) => pair.close()))
}

/** One machine sends to eight at once. */
async function hub(
  ground: Ground,
  kinds: readonly Kind[],
  results: Results,
  rounds: number,
  open: { close(): Promise<void> }[],
  say: (text: string) => void,
): Promise<void> {
  const hubs = []
  for (const kind of kinds) {
    if (kind === 'wireguard-go' || kind === 'plain') continue
    say(`start ${kind}, one and ${HUB_SPOKES}`)
    const daemons = []
    for (let i = 0; i <= HUB_SPOKES; i++) {
      const daemon = await startDaemon(ground, kind, `${kind}-hub${i}`)
      open.push({ close: () => daemon.stop() })
      daemons.push(daemon)
    }
    const [middle, ...spokes] = daemons as [(typeof daemons)[0], ...typeof daemons]
    const addresses = await Promise.all(spokes.map((spoke) => spoke.address()))
    for (const address of addresses) await middle.untilDirect(address, 60_000)
    hubs.push({ kind, middle, spokes, addresses })
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { kind, middle, spokes, addresses } of hubs) {
      say(`${HUB_SPOKES} peers at once, round ${round} of ${rounds}: ${kind}`)
      const flows = spokes.map((spoke, i) => iperf(middle.host, spoke.host, addresses[i]!, ['-t', '3', '-O', '1']))
      const gbits = (await Promise.all(flows)).map((report) => report.end.sum_received.bits_per_second / 1e9)
      results.add(
        'TCP to 8 peers at once',
        kind,
        gbits.reduce((sum, one) => sum + one, 0),
      )
    }
  }
}

function machineLine(): string {
  const flags = new Set(
    readFileSync('/proc/cpuinfo', 'utf8')
      .match(/^flags.*$/m)?.[0]
      .split(' '),
  )
  const vector = ['avx512ifma', 'avx512f', 'avx2'].find((flag) => flags.has(flag)) ?? 'no AVX2'
  return `${cpus().length} × ${cpus()[0]?.model ?? 'processor'} (${vector}), Linux ${release()}, Node ${process.version}`
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
