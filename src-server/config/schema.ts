/**
 * The config file's keys, their defaults and what they accept. The commented file that `pintail-control init` writes
 * (`example.ts`) and `docs/operations.md` list the same keys; a test holds the three together.
 */
import { z } from 'zod'
import { parseUpstream } from '../../src-protocol/machines/resolver/upstream.ts'
import { parseIp, parsePrefix, prefixContains, prefixText } from '../../src-protocol/wire/ip.ts'
import { EVERYBODY, isValidWho } from '../registry/whom.ts'
import { parseListenAddress } from './address.ts'
import { NODE_ATTRIBUTES } from './attributes.ts'
import { parseDurationMs } from './duration.ts'

function range(text: string) {
  const parsed = parsePrefix(text)
  if (!parsed.ok) throw new TypeError(text)
  return parsed.value
}
/** Stock clients refuse every address outside these. */
const V4_RANGE = range('100.64.0.0/10')
const V6_RANGE = range('fd7a:115c:a1e0::/48')

const duration = z.union([z.string(), z.number()]).transform((value, context) => {
  const ms = parseDurationMs(String(value))
  if (ms !== undefined) return ms
  context.addIssue({ code: 'custom', message: 'expected a duration such as 90s, 1h30m, 180d, or 0' })
  return z.NEVER
})

const listen = z.string().transform((value, context) => {
  const address = parseListenAddress(value)
  if (address !== undefined) return address
  context.addIssue({ code: 'custom', message: 'expected ADDRESS:PORT such as 0.0.0.0:8080, [::]:8080 or :8080' })
  return z.NEVER
})

const ip = z.string().refine((value) => parseIp(value).ok, 'expected an IP address')

function prefixWithin(outer: ReturnType<typeof range>, what: string) {
  return z.string().transform((value, context) => {
    const parsed = parsePrefix(value)
    const expected = `expected ${what} or a part of it, in the form ADDRESS/BITS`
    const isInside =
      parsed.ok &&
      parsed.value.bits >= outer.bits &&
      prefixContains(outer, parsed.value.ip) &&
      parsed.value.bits <= parsed.value.ip.length * 8 - 2
    if (isInside) return prefixText(parsed.value)
    context.addIssue({ code: 'custom', message: expected })
    return z.NEVER
  })
}

const serverUrl = z.string().transform((value, context) => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const isPlain =
    url !== undefined &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === '' &&
    url.username === ''
  if (isPlain) return url.origin
  context.addIssue({ code: 'custom', message: 'expected https://HOST[:PORT] or http://HOST[:PORT] without a path' })
  return z.NEVER
})

const domain = z
  .string()
  .max(190)
  .regex(
    /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    'expected a lower-case domain with at least two labels, such as net.example.com',
  )

const hostName = z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/, 'expected a host name or IP address')
const regionId = z.int().min(1).max(65535)
/** An address, or an object when there is more to say. Checked by what clients make of it. */
const resolver = z
  .preprocess(
    (value) => (typeof value === 'string' ? { address: value } : value),
    z.strictObject(
      {
        address: z.string(),
        /** Where the host of an https:// address is. */
        bootstrap: z.array(ip).optional(),
        use_with_exit_node: z.boolean().optional(),
      },
      'expected an address such as 9.9.9.9, or {address: 9.9.9.9, use_with_exit_node: true}',
    ),
  )
  .superRefine(({ address, bootstrap = [] }, context) => {
    if (parseUpstream({ Addr: address, BootstrapResolution: bootstrap }) !== undefined) return
    const isUrl = /^https:\/\/[A-Za-z0-9.-]+(:\d+)?(\/|$)/.test(address)
    const message = isUrl
      ? `clients do not know where ${address} is; expected its IP addresses with it: {address: "${address}", bootstrap: [192.0.2.53]}`
      : 'expected an IP address, ADDRESS:PORT, or an https:// URL (DNS over HTTPS); not 100.100.100.100, which is the client itself'
    context.addIssue({ code: 'custom', path: ['address'], message })
  })
const suffix = z
  .string()
  .max(253, 'expected a domain of at most 253 characters')
  .regex(
    /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    'expected a lower-case domain such as corp.example.com, without dots at its ends',
  )
const record = z
  .strictObject({ name: suffix, type: z.enum(['A', 'AAAA']), value: ip })
  .refine(({ type, value }) => value.includes(':') === (type === 'AAAA'), {
    path: ['value'],
    message: 'expected an IPv4 address with type A, an IPv6 address with type AAAA',
  })

const derpNode = z.strictObject({
  name: z.string().min(1),
  hostname: hostName,
  cert_name: z.string().optional(),
  ipv4: z.string().optional(),
  ipv6: z.string().optional(),
  derp_port: z.int().min(1).max(65535).optional(),
  stun_port: z.int().min(-1).max(65535).optional(),
  stun_only: z.boolean().optional(),
  can_port_80: z.boolean().optional(),
  insecure_for_tests: z.boolean().optional(),
})

export const derpRegion = z.strictObject({
  region_id: regionId,
  region_code: z.string().min(1),
  region_name: z.string().min(1),
  latitude: z.number().optional(),
  longitude: z.number().optional(),
  no_measure_no_home: z.boolean().optional(),
  nodes: z.array(derpNode).min(1),
})

const embeddedDerp = z.strictObject({
  enabled: z.boolean().default(true),
  region_id: regionId.default(999),
  region_code: z.string().min(1).default('own'),
  region_name: z.string().min(1).default('Own relay'),
  /** What clients dial; by default the host of `server_url`. */
  hostname: hostName.optional(),
  ipv4: ip.optional(),
  ipv6: ip.optional(),
  listen: listen.prefault(':443'),
  /** The port clients dial when it differs from `listen` (port forwarding). */
  public_port: z.int().min(1).max(65535).optional(),
  cert_path: z.string().optional(),
  key_path: z.string().optional(),
  stun_listen: listen.prefault(':3478'),
  stun_public_port: z.int().min(1).max(65535).optional(),
  /** Only nodes of this server may use the relay. */
  verify_clients: z.boolean().default(true),
})

const route = z.string().refine((text) => {
  const prefix = parsePrefix(text)
  return prefix.ok && prefixText(prefix.value) === text
}, 'expected a network such as 10.0.0.0/8, without host bits')
const who = z
  .string()
  .refine(isValidWho, 'expected a tag (tag:router), the name of a user (alice), or a node (node:nas)')

const target = z
  .string()
  .refine(
    (text) => text === EVERYBODY || isValidWho(text),
    'expected "*", a tag (tag:router), the name of a user (alice), or a node (node:nas)',
  )
const attribute = z.string().refine((text) => NODE_ATTRIBUTES.includes(text), {
  error: ({ input }) =>
    `clients know no attribute "${String(input).slice(0, 60)}"; expected one of ${NODE_ATTRIBUTES.join(', ')}`,
})

export const configSchema = z
  .strictObject({
    server_url: serverUrl,
    listen_addr: listen.prefault(':8080'),
    tls: z
      .strictObject({ cert_path: z.string().optional(), key_path: z.string().optional() })
      .refine(
        (tls) => (tls.cert_path === undefined) === (tls.key_path === undefined),
        'expected both cert_path and key_path, or neither',
      )
      .prefault({}),
    state_dir: z.string().min(1).default('/var/lib/pintail-control'),
    unix_socket: z.string().min(1).max(107).default('/run/pintail-control/control.sock'),
    unix_socket_permission: z
      .string()
      .regex(/^0[0-7]{3}$/, 'expected four octal digits in quotes, such as "0660"')
      .default('0660'),
    database: z.strictObject({ path: z.string().min(1).optional() }).prefault({}),
    noise: z.strictObject({ private_key_path: z.string().min(1).optional() }).prefault({}),
    prefixes: z
      .strictObject({
        v4: prefixWithin(V4_RANGE, '100.64.0.0/10').prefault('100.64.0.0/10'),
        v6: prefixWithin(V6_RANGE, 'fd7a:115c:a1e0::/48').prefault('fd7a:115c:a1e0::/48'),
      })
      .prefault({}),
    node: z
      .strictObject({
        expiry: duration.prefault('0'),
        offline_after: duration.prefault('10s'),
        ephemeral: z.strictObject({ inactivity_timeout: duration.prefault('30m') }).prefault({}),
      })
      .prefault({}),
    preauth_keys: z.strictObject({ expiration: duration.prefault('1h') }).prefault({}),
    dns: z
      .strictObject({
        magic_dns: z.boolean().default(true),
        base_domain: domain.default('pintail.internal'),
        override_local_dns: z.boolean().default(false),
        nameservers: z
          .strictObject({
            global: z.array(resolver).default([]),
            fallback: z.array(resolver).default([]),
            /** An empty list: the client itself answers this zone (names of nodes, extra records). */
            split: z.record(suffix, z.array(resolver)).default({}),
          })
          .prefault({}),
        search_domains: z.array(suffix).default([]),
        extra_records: z.array(record).default([]),
      })
      .prefault({}),
    derp: z
      .strictObject({
        server: embeddedDerp.prefault({}),
        regions: z.array(derpRegion).default([]),
        paths: z.array(z.string()).default([]),
      })
      .prefault({}),
    auto_approve: z
      .strictObject({
        /** Network → tags, users or nodes whose routes inside of it need no administrator. */
        routes: z.record(route, z.array(who).min(1)).default({}),
        exit_node: z.array(who).default([]),
      })
      .prefault({}),
    node_attributes: z
      .array(z.strictObject({ target: z.array(target).min(1), attr: z.array(attribute).min(1) }))
      .default([]),
    /** The network's own authority, whose certificates machines may ask for. */
    certificates: z.strictObject({ enabled: z.boolean().default(true) }).prefault({}),
    taildrop: z.strictObject({ enabled: z.boolean().default(true) }).prefault({}),
    log: z
      .strictObject({
        level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
        format: z.enum(['text', 'json']).default('text'),
      })
      .prefault({}),
  })
  .superRefine((config, context) => {
    const host = new URL(config.server_url).hostname
    const zone = config.dns.base_domain
    if (host === zone || host.endsWith(`.${zone}`))
      context.addIssue({
        code: 'custom',
        path: ['dns', 'base_domain'],
        message: `must not contain the host of server_url (${host}): clients would resolve that zone inside the tailnet and lose the server`,
      })
    for (const split of Object.keys(config.dns.nameservers.split))
      if (split === zone && config.dns.magic_dns)
        context.addIssue({
          code: 'custom',
          path: ['dns', 'nameservers', 'split', split],
          message: 'is base_domain, whose names each client answers itself; to add names use extra_records',
        })
    const { cert_path, key_path } = config.derp.server
    if ((cert_path === undefined) !== (key_path === undefined))
      context.addIssue({
        code: 'custom',
        path: ['derp', 'server'],
        message: 'expected both cert_path and key_path, or neither',
      })
    const { listen, enabled } = config.derp.server
    const isShared =
      listen.host === config.listen_addr.host && listen.port === config.listen_addr.port && listen.port !== 0
    if (enabled && isShared && config.tls.cert_path === undefined)
      context.addIssue({
        code: 'custom',
        path: ['derp', 'server', 'listen'],
        message: 'must differ from listen_addr unless tls.cert_path and tls.key_path are set: a relay needs TLS',
      })
    const hasRelay = config.derp.server.enabled || config.derp.regions.length > 0 || config.derp.paths.length > 0
    if (!hasRelay)
      context.addIssue({
        code: 'custom',
        path: ['derp'],
        message: 'expected at least one relay region: clients never finish starting without one',
      })
  })

export type Config = z.output<typeof configSchema>
export type DerpRegionConfig = z.output<typeof derpRegion>
