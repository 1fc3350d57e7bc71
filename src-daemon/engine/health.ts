/**
 * What a person must know: one row per trouble, with its severity and wording. Rows are set and cleared by code; the
 * text is here, so that nobody writes it twice.
 */
import type { DisplayMessage } from '../../src-contract/control/map.ts'
import type { HealthWarning } from '../../src-contract/localapi/notify.ts'
import { timeText } from './node-text.ts'

interface Row {
  readonly severity: HealthWarning['Severity']
  readonly title: string
  readonly text: (detail: string) => string
  readonly impactsConnectivity?: true
}

/** Whoever sets such a row has the whole sentence. */
const itself = (detail: string): string => detail

export const healthRows = {
  'state-not-saved': {
    severity: 'high',
    title: 'State cannot be saved',
    text: (detail) => `The daemon cannot save its state (${detail}). Changes are lost when it restarts.`,
  },
  'address-conflict': {
    severity: 'high',
    title: 'Another network owns our address',
    text: (detail) => `Another program already uses addresses of this network (${detail}). Stop it first.`,
    impactsConnectivity: true,
  },
  'router-failed': {
    severity: 'high',
    title: 'Addresses cannot be set',
    text: (detail) => `The system refused addresses or routes: ${detail}`,
    impactsConnectivity: true,
  },
  'control-unreachable': {
    severity: 'medium',
    title: 'Coordination server unreachable',
    text: (detail) => `The coordination server cannot be reached: ${detail}`,
  },
  'no-relay': {
    severity: 'medium',
    title: 'No relay connection',
    text: () => 'No relay server can be reached; machines behind firewalls may be out of reach.',
    impactsConnectivity: true,
  },
  'captive-portal-detected': {
    severity: 'high',
    title: 'This network wants a sign-in',
    text: () =>
      'This network lets nothing through before somebody signs in. Open any page that begins with http:// in a browser; with an exit node in use, leave it until then (pintail set --exit-node=).',
    impactsConnectivity: true,
  },
  'no-sockets': {
    severity: 'high',
    title: 'No network sockets',
    text: (detail) => `The system gives no UDP sockets (${detail}). Trying again until it does.`,
    impactsConnectivity: true,
  },
  'path-too-narrow': {
    severity: 'medium',
    title: 'Path MTU too small',
    text: (detail) =>
      `The direct path loses full packets and there is no relay to use instead (${detail}). Small packets pass, transfers may hang.`,
    impactsConnectivity: true,
  },
  'no-interface': {
    severity: 'high',
    title: 'No network interface',
    text: (detail) =>
      `The native addon cannot be loaded (${detail}), so there is no interface: others reach services of this machine, its own programs reach the network only through --socks5-server and --outbound-http-proxy-listen, and routes are not set. Install the package again for this system and processor.`,
    impactsConnectivity: true,
  },
  'slow-datapath': {
    severity: 'low',
    title: 'Slow data path',
    text: (detail) => `Packets go through JavaScript because the native data path cannot be used: ${detail}.`,
  },
  'serve-port-taken': {
    severity: 'medium',
    title: 'Something is not served',
    text: (detail) => `A port that should be served cannot be opened (${detail}). Tried again until it can.`,
  },
  'dns-forward-failing': {
    severity: 'medium',
    title: 'Name servers do not answer',
    text: (detail) => `Names outside of this network cannot be looked up: no answer from ${detail}.`,
  },
  'dns-set-os-config-failed': {
    severity: 'medium',
    title: 'Name settings cannot be changed',
    text: (detail) => `The system refused our name servers: ${detail}. Names of this network may not be found.`,
  },
  'resolv-conf-overwritten': {
    severity: 'medium',
    title: 'Name settings were overwritten',
    text: (detail) => `Another program wrote /etc/resolv.conf (${detail}); ours was put back.`,
  },
  'dns-fight': {
    severity: 'medium',
    title: 'Another program fights over name settings',
    text: (detail) =>
      `Another program writes /etc/resolv.conf again and again (${detail}); it has the last word now, and names of this network may not be found. Configure one of the two to leave DNS alone (here: pintail set --accept-dns=false).`,
  },
  'dns-not-asked': {
    severity: 'medium',
    title: 'Names are looked up elsewhere',
    text: (detail) =>
      `This system looks names of this network up elsewhere: a test question never arrived, so machines are found by address only (${detail}).`,
  },
  'exit-node-unavailable': {
    severity: 'medium',
    title: 'Exit node cannot be used',
    text: (detail) =>
      `The exit node cannot be used: ${detail}. Nothing leaves this machine for the internet until it can, or until you choose another or none (pintail set --exit-node=).`,
    impactsConnectivity: true,
  },
  'route-conflict': {
    severity: 'medium',
    title: 'A route overlaps a network around you',
    text: (detail) => `${detail} To reach the network around you instead: pintail route off PREFIX.`,
  },
  'change-pending': {
    severity: 'medium',
    title: 'A change waits for your confirmation',
    text: (detail) => `${detail} To keep it: pintail changes confirm.`,
  },
  'change-not-reverted': {
    severity: 'high',
    title: 'A change could not be taken back',
    text: (detail) => `A change that nobody confirmed could not be taken back: ${detail}`,
  },
  'ip-forwarding-off': {
    severity: 'medium',
    title: 'This machine does not forward',
    text: itself,
    impactsConnectivity: true,
  },
  'netfilter-missing': { severity: 'medium', title: 'No firewall tool', text: itself },
  'netfilter-refused': { severity: 'medium', title: 'Firewall rules were refused', text: itself },
  'ipv6-nat-missing': { severity: 'low', title: 'No address translation for IPv6', text: itself },
  'firewalld-active': { severity: 'medium', title: 'firewalld may stop forwarded traffic', text: itself },
  'ufw-active': { severity: 'medium', title: 'ufw may stop forwarded traffic', text: itself },
  'rp-filter-strict': { severity: 'medium', title: 'Strict reverse-path filter', text: itself },
  'bypass-groups-need-nftables': { severity: 'medium', title: 'Bypass by control group needs nftables', text: itself },
  'bypass-group-missing': { severity: 'low', title: 'A control group of the bypass is missing', text: itself },
  'no-policy-routing': { severity: 'medium', title: 'No policy routing', text: itself },
  'nosnat-with-advertised-exit-node': { severity: 'medium', title: 'Exit node without SNAT', text: itself },
  'docker-stateful-filtering': { severity: 'medium', title: 'Stateful filtering and Docker', text: itself },
  'key-expired': {
    severity: 'high',
    title: 'Sign-in expired',
    text: () => "This machine's key has expired. Sign in again.",
    impactsConnectivity: true,
  },
} as const satisfies { readonly [code: string]: Row }

const SERVER_PREFIX = 'control.'

export type HealthCode = keyof typeof healthRows

export class Health {
  readonly #warnings = new Map<string, HealthWarning>()
  readonly #wallMs: () => number
  onChange: () => void = () => {}

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs
  }

  set(code: HealthCode, detail = ''): void {
    const row: Row = healthRows[code]
    const before = this.#warnings.get(code)
    const text = row.text(detail)
    if (before?.Text === text) return
    this.#warnings.set(code, {
      WarnableCode: code,
      Severity: row.severity,
      Title: row.title,
      Text: text,
      BrokenSince: before?.BrokenSince ?? timeText(this.#wallMs()),
      ...(row.impactsConnectivity === undefined ? {} : { ImpactsConnectivity: true }),
    })
    this.onChange()
  }

  /** The server's own messages replace its earlier ones. */
  setServerMessages(messages: ReadonlyMap<string, DisplayMessage>, texts: readonly string[]): void {
    const before = JSON.stringify([...this.#warnings])
    for (const code of [...this.#warnings.keys()]) if (code.startsWith(SERVER_PREFIX)) this.#warnings.delete(code)
    const add = (id: string, message: Omit<HealthWarning, 'WarnableCode'>): void => {
      this.#warnings.set(SERVER_PREFIX + id, { ...message, WarnableCode: SERVER_PREFIX + id })
    }
    for (const [id, message] of messages) add(id, message)
    for (const [i, text] of texts.entries()) {
      add(`text${i}`, { Severity: 'medium', Title: 'Coordination server', Text: text })
    }
    if (JSON.stringify([...this.#warnings]) !== before) this.onChange()
  }

  has(code: HealthCode): boolean {
    return this.#warnings.has(code)
  }

  clear(code: HealthCode): void {
    if (this.#warnings.delete(code)) this.onChange()
  }

  warnings(): { [code: string]: HealthWarning } | null {
    return this.#warnings.size === 0 ? null : Object.fromEntries(this.#warnings)
  }

  texts(): string[] {
    return [...this.#warnings.values()].map((warning) => warning.Text)
  }
}
