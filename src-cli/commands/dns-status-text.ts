/** The words of `pintail dns status`; scripts read them, so headings and items are those of the stock command line. */

import type { DnsConfig, Resolver } from '../../src-contract/control/map.ts'
import type { OsDnsReply } from '../../src-contract/localapi/dns.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import { oneCell } from '../text/visible.ts'

export interface DnsSituation {
  readonly isAccepted: boolean
  readonly status: Status
  readonly config: DnsConfig | undefined
  readonly system: OsDnsReply | undefined
  /** Why the system's settings are unknown. */
  readonly systemError: string
}

const END = '[this is a preliminary version of this command; the output format may change in the future]\n'

export function dnsStatusText(situation: DnsSituation, { isAll }: { readonly isAll: boolean }): string {
  return `\n${usedText(situation.isAccepted)}\n${networkText(situation, isAll)}`
}

function usedText(isAccepted: boolean): string {
  const head = `=== 'Use Pintail DNS' status ===\n\nPintail DNS: ${isAccepted ? 'enabled' : 'disabled'}.\n\n`
  return isAccepted
    ? `${head}Pintail is configured to handle DNS queries on this device.\nRun 'pintail set --accept-dns=false' to revert to your system default DNS resolver.\n`
    : `${head}(Run 'pintail set --accept-dns=true' to start sending DNS queries to the Pintail DNS resolver)\n`
}

function networkText({ status, config, system, systemError }: DnsSituation, isAll: boolean): string {
  const head =
    '=== MagicDNS configuration ===\n\nThis is the DNS configuration provided by the coordination server to this device.\n\n'
  const network = status.CurrentTailnet ?? undefined
  if (network === undefined || config === undefined) {
    return `${head}No tailnet information available; make sure you're logged in to a tailnet.\n`
  }
  const magic = network.MagicDNSEnabled
    ? `MagicDNS: enabled tailnet-wide (suffix = ${network.MagicDNSSuffix})\n\nOther devices in your tailnet can reach this device at ${withoutDot(status.Self.DNSName)}.\n\n`
    : 'MagicDNS: disabled tailnet-wide.\n\n'
  const routes = Object.entries(config.Routes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([suffix, list]) => (list ?? []).map((one) => `- ${suffix.padEnd(30)} -> ${resolverText(one)}`))
  const records = (config.ExtraRecords ?? []).map(({ Name, Type, Value }) => {
    return `- ${Type ? `[${Type}] ` : ''}${Name.padEnd(50)} -> ${Value}`
  })
  const parts = [
    section(
      'Resolvers (in preference order)',
      dashed((config.Resolvers ?? []).map(resolverText)),
      "no resolvers configured, system default will be used: see 'System DNS configuration' below",
    ),
    section('Split DNS Routes', routes, 'no routes configured: split DNS disabled'),
    ...(isAll
      ? [
          section(
            'Fallback Resolvers',
            (config.FallbackResolvers ?? []).map((one, i) => `${i}: ${resolverText(one)}`),
            'no fallback resolvers configured',
          ),
        ]
      : []),
    section('Search Domains', dashed(config.Domains ?? []), 'no search domains configured'),
    ...(isAll
      ? [
          section('Nameservers IP Addresses', dashed(config.Nameservers ?? []), 'none were provided'),
          section('Certificate Domains', dashed(config.CertDomains ?? []), 'no certificate domains are configured'),
          section('Additional DNS Records', records, 'no extra records are configured'),
          section(
            'Filtered suffixes when forwarding DNS queries as an exit node',
            dashed(config.ExitNodeFilteredSet ?? []),
            'no suffixes are filtered',
          ),
        ]
      : []),
  ]
  return `${head}${magic}${parts.join('')}${systemText(system, systemError, isAll)}\n${END}`
}

function systemText(system: OsDnsReply | undefined, error: string, isAll: boolean): string {
  const head = `=== System DNS configuration ===

This is the DNS configuration that Pintail believes your operating system is using.
Pintail may use this configuration if 'Override Local DNS' is disabled in the admin console,
or if no resolvers are provided by the coordination server.

`
  if (system === undefined) return `${head}  (failed to read the system DNS configuration: ${error})\n`
  const parts = [
    section(
      'Nameservers',
      dashed(system.Nameservers),
      'no nameservers found, DNS queries might fail\nunless the coordination server is providing a nameserver',
    ),
    section('Search domains', dashed(system.SearchDomains), 'no search domains found'),
    ...(isAll ? [section('Match domains', dashed(system.MatchDomains), 'no match domains found')] : []),
  ]
  return head + parts.join('').replace(/\n$/, '')
}

function section(title: string, items: readonly string[], nothing: string): string {
  const lines = items.length === 0 ? [`(${nothing})`] : items.map(oneCell)
  return `${title}:\n${lines.map((line) => `  ${line}\n`).join('')}\n`
}

function dashed(items: readonly string[]): string[] {
  return items.map((item) => `- ${item}`)
}

function resolverText({ Addr, BootstrapResolution }: Resolver): string {
  const first = BootstrapResolution ?? []
  return `${Addr ?? ''}${first.length === 0 ? '' : ` (bootstrap: [${first.join(' ')}])`}`
}

function withoutDot(name: string): string {
  return name.replace(/\.$/, '')
}

/** Members that are empty are left out, as stock does. */
export function dnsStatusJson({ isAccepted, status, config, system, systemError }: DnsSituation): object {
  const network = status.CurrentTailnet ?? undefined
  const some = <T>(name: string, list: readonly T[] | null | undefined): object =>
    list === null || list === undefined || list.length === 0 ? {} : { [name]: list }
  const routes = Object.entries(config?.Routes ?? {})
    .filter(([, list]) => (list ?? []).length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    TailscaleDNS: isAccepted,
    ...(network === undefined
      ? {}
      : {
          CurrentTailnet: {
            MagicDNSEnabled: network.MagicDNSEnabled,
            MagicDNSSuffix: network.MagicDNSSuffix,
            SelfDNSName: status.Self.DNSName,
          },
        }),
    ...some('Resolvers', config?.Resolvers?.map(resolverJson)),
    ...(config === undefined
      ? {}
      : { SplitDNSRoutes: Object.fromEntries(routes.map(([suffix, list]) => [suffix, list!.map(resolverJson)])) }),
    ...some('FallbackResolvers', config?.FallbackResolvers?.map(resolverJson)),
    ...some('SearchDomains', config?.Domains),
    ...some('Nameservers', config?.Nameservers),
    ...some('CertDomains', config?.CertDomains),
    ...some('ExtraRecords', config?.ExtraRecords),
    ...some('ExitNodeFilteredSet', config?.ExitNodeFilteredSet),
    ...(system === undefined ? {} : { SystemDNS: system }),
    ...(systemError === '' ? {} : { SystemDNSError: systemError }),
  }
}

function resolverJson({ Addr, BootstrapResolution }: Resolver): object {
  return { Addr, ...(BootstrapResolution === undefined ? {} : { BootstrapResolution }) }
}
