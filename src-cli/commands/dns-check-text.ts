/**
 * What `pintail dns status` says besides the stock one: whether programs of this system ask our resolver, and the trap
 * that nobody sees from outside, a browser with a DNS of its own. [docs/rules/dns.md DNS-15 to DNS-17]
 */
import type { DnsReport } from '../../src-contract/localapi/dns.ts'
import type { StubbornBrowser } from './browser-dns.ts'

export interface DnsCheck {
  readonly report: DnsReport
  readonly browsers: readonly StubbornBrowser[]
}

const VERDICTS: { readonly [verdict in DnsReport['systemVerdict']]: string } = {
  'asks us': 'Programs of this system ask Pintail: a test question has arrived.',
  'asks others':
    "Programs of this system do NOT ask Pintail: a test question went elsewhere. Look at /etc/resolv.conf, at the line\n'hosts:' in /etc/nsswitch.conf, and for another VPN or a firewall that catches port 53. 'pintail dns query NAME' works\nall the same: it asks the resolver directly.",
  unknown: 'Whether programs of this system ask Pintail is not known yet, or there are no names to ask for.',
}

export function dnsCheckText({ report, browsers }: DnsCheck): string {
  const { mode, why, systemVerdict, counters } = report
  const asked = counters.browsers === 0 ? '' : ` Firefox has asked ${counters.browsers} times, and was told so.`
  const own =
    browsers.length === 0
      ? `Browsers: one that has been given a DNS provider of its own (DNS over HTTPS) never asks the system, and does not find\nnames of this network. By default none does: Firefox asks beforehand, Chrome and its kin keep to the system.${asked}\n`
      : `Browsers with a DNS provider of their own, which do not find names of this network:\n${browsers.map(browserText).join('')}`
  return `=== Use by this system ===\n\nTold by: ${mode} (${why})\n${VERDICTS[systemVerdict]}\n\n${own}\n`
}

function browserText({ browser, file, provider, mend }: StubbornBrowser): string {
  return `  - ${browser} asks ${provider === '' ? 'its provider' : provider} only (${file})\n    ${mend}\n`
}

export function dnsCheckJson({ report, browsers }: DnsCheck): object {
  const { mode, why, systemVerdict } = report
  return { Mode: mode, Why: why, SystemVerdict: systemVerdict, StubbornBrowsers: browsers }
}
