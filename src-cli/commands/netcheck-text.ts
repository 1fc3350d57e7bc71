/** A netcheck report for people. Pure. [docs/rules/cli.md CLI-6] */
import type { DerpMap, DerpRegion } from '../../src-contract/control/map.ts'
import type { NetcheckReport } from '../../src-contract/localapi/netcheck.ts'
import { durationText, roundDuration } from '../text/duration.ts'

export function netcheckText(report: NetcheckReport, map: DerpMap, { verbose }: { verbose: boolean }): string {
  const lines = [
    `Time: ${report.Now}`,
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
