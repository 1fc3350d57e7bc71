/** A netcheck report for people. Pure. [docs/rules/cli.md CLI-6] */
import type { DerpMap, DerpRegion } from '../../src-contract/control/map.ts'
import type { NetcheckReport } from '../../src-contract/localapi/netcheck.ts'
import { durationText, roundDuration } from '../text/duration.ts'

export function netcheckText(report: NetcheckReport, map: DerpMap, { verbose }: { verbose: boolean }): string {
  const lines = [
    `Time: ${localTime(report.Now)}`,
    `UDP: ${report.UDP}`,
    `IPv4: ${report.GlobalV4 === '' ? '(no addr found)' : `yes, ${report.GlobalV4}`}`,
    `IPv6: ${ipv6Text(report)}`,
    `MappingVariesByDestIP: ${report.MappingVariesByDestIP ?? ''}`,
    `PortMapping: ${portMappingText(report)}`,
  ]
  if (report.CaptivePortal !== null) lines.push(`CaptivePortal: ${report.CaptivePortal}`)
  const head = lines.map((line) => `\t* ${line}\n`).join('')
  return `\nReport:\n${head}${derpText(report, map, verbose)}`
}

/** `2026-01-02 03:04:05.123Z` in this machine's zone. */
export function localTime(now: string, zoneMinutes = -new Date(now).getTimezoneOffset()): string {
  const at = Date.parse(now)
  if (Number.isNaN(at)) return now
  const shifted = new Date(at + zoneMinutes * 60_000).toISOString()
  const fraction = /\.(\d+)/.exec(now)?.[1]?.replace(/0+$/, '') ?? ''
  const seconds = `${shifted.slice(0, 10)} ${shifted.slice(11, 19)}${fraction === '' ? '' : `.${fraction}`}`
  if (zoneMinutes === 0) return `${seconds}Z`
  const [hours, minutes] = [Math.floor(Math.abs(zoneMinutes) / 60), Math.abs(zoneMinutes) % 60]
  return `${seconds}${zoneMinutes < 0 ? '-' : '+'}${twoDigits(hours)}:${twoDigits(minutes)}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

function ipv6Text(report: NetcheckReport): string {
  if (report.GlobalV6 !== '') return `yes, ${report.GlobalV6}`
  if (report.IPv6) return '(no addr found)'
  return report.OSHasIPv6 ? 'no, but OS has support' : 'no, unavailable in OS'
}

function portMappingText({ UPnP, PMP, PCP }: NetcheckReport): string {
  if (UPnP === null && PMP === null && PCP === null) return 'not checked'
  const names = [UPnP === true && 'UPnP', PMP === true && 'NAT-PMP', PCP === true && 'PCP']
  return names.filter((name) => name !== false).join(', ')
}

function derpText(report: NetcheckReport, map: DerpMap, verbose: boolean): string {
  const latencies = report.RegionLatency ?? {}
  if (Object.keys(latencies).length === 0) return '\t* Nearest DERP: unknown (no response to latency probes)\n'
  const regions = Object.values(map.Regions ?? {}).filter((region) => region !== null)
  const home = regions.find(({ RegionID }) => RegionID === report.PreferredDERP)
  const nearest = report.PreferredDERP === 0 ? '[none]' : (home?.RegionName ?? String(report.PreferredDERP))
  const latencyOf = ({ RegionID }: DerpRegion) => latencies[String(RegionID)]
  const farthest = Number.POSITIVE_INFINITY
  regions.sort((a, b) => (latencyOf(a) ?? farthest) - (latencyOf(b) ?? farthest) || a.RegionID - b.RegionID)
  const rows = regions.map((region) => {
    const ns = latencyOf(region)
    const latency = ns === undefined ? '' : durationText(roundDuration(ns, 100_000))
    const id = verbose ? `derp${region.RegionID}, ` : ''
    return `\t\t- ${region.RegionCode.padStart(3)}: ${latency.padEnd(7)} (${id}${region.RegionName})\n`
  })
  return `\t* Nearest DERP: ${nearest}\n\t* DERP latency:\n${rows.join('')}`
}
