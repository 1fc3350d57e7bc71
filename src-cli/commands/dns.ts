/** `pintail dns`: how names are resolved here, and a question to the daemon's own resolver. */
import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { LocalClient } from '../../src-client/local-client.ts'
import type { DnsConfig } from '../../src-contract/control/map.ts'
import type { DnsQueryReply, DnsReport, OsDnsReply } from '../../src-contract/localapi/dns.ts'
import { parseBase64 } from '../../src-protocol/wire/bytes.ts'
import { type DnsMessage, type DnsRecord, decodeDns } from '../../src-protocol/wire/dns.ts'
import { decodeRecordData } from '../../src-protocol/wire/dns-record.ts'
import { goJson } from '../text/go-json.ts'
import { quote } from '../text/quote.ts'
import { alignTabs } from '../text/table.ts'
import { CommandError, type Invocation, type Terminal, type Verb } from '../verb.ts'
import { stubbornBrowsers } from './browser-dns.ts'
import { type DnsCheck, dnsCheckJson, dnsCheckText } from './dns-check-text.ts'
import { type DnsSituation, dnsStatusJson, dnsStatusText } from './dns-status-text.ts'

const RCODES = ['Success', 'FormatError', 'ServerFailure', 'NameError', 'NotImplemented', 'Refused']
const TYPES: { readonly [type: number]: string } = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  41: 'OPT',
}
/** As long as the daemon goes on asking. */
const QUERY_TIMEOUT_MS = 20_000

export const dns: Verb = {
  name: 'dns',
  summary: 'Show how names are resolved, or resolve one',
  examples: ['pintail dns status', 'pintail dns query nas'],
  verbs: [
    {
      name: 'status',
      summary: 'Show the DNS configuration of the network and of this machine',
      details:
        'Says at its end whether programs of this system ask Pintail at all, and which browsers of yours do not: one with a DNS provider of its own (DNS over HTTPS) does not find names of this network.',
      examples: ['pintail dns status', 'pintail dns status --all', 'pintail dns status --json'],
      flags: [
        { name: 'all', kind: 'bool', help: 'also what is rarely of interest', default: false },
        { name: 'json', kind: 'bool', help: 'print JSON', default: false },
      ],
      run: status,
    },
    {
      name: 'query',
      summary: "Ask this machine's resolver",
      details:
        'Asks the resolver of the daemon directly, whatever the system asks, and shows who answered: the daemon itself (the name is of this network), or a server. A name without a dot is a machine of this network; "com." is taken as it is. Types: A (default), AAAA, ALL, CNAME, HINFO, MX, NS, PTR, SOA, SRV, TXT.',
      args: '<name> [type]',
      examples: [
        'pintail dns query nas',
        'pintail dns query example.com MX',
        'pintail dns query --json nas.example.net AAAA',
      ],
      flags: [{ name: 'json', kind: 'bool', help: 'print JSON', default: false }],
      run: query,
    },
  ],
}

async function status({ connect, flags, terminal }: Invocation): Promise<number> {
  const client = await connect()
  const [state, prefs] = await Promise.all([client.status({ peers: false }), client.prefs()])
  const config = await orUndefined(client.json('GET', 'dns-config') as Promise<DnsConfig>)
  const situation: DnsSituation = { isAccepted: prefs.CorpDNS, status: state, config, ...(await readSystem(client)) }
  const domain = (state.CurrentTailnet?.MagicDNSSuffix ?? '').toLowerCase()
  const check = prefs.CorpDNS && domain !== '' ? await readCheck(client, terminal, domain) : undefined
  if (flags.bool('json')) {
    const more = check === undefined ? {} : { PintailCheck: dnsCheckJson(check) }
    terminal.out(`${goJson({ ...dnsStatusJson(situation), ...more }, '  ')}\n`)
  } else {
    terminal.out(dnsStatusText(situation, { isAll: flags.bool('all') }))
    if (check !== undefined) terminal.out(`\n${dnsCheckText(check)}`)
  }
  return 0
}

/** Undefined: a daemon that does not know of it. */
async function readCheck(client: LocalClient, terminal: Terminal, domain: string): Promise<DnsCheck | undefined> {
  try {
    const report = (await client.json('GET', 'pintail/dns')) as DnsReport
    const home = terminal.env.HOME ?? ''
    const browsers = home === '' ? [] : await stubbornBrowsers(home, domain, (path) => terminal.readFile(path))
    return { report, browsers }
  } catch (error) {
    if (error instanceof LocalApiError) return undefined
    throw error
  }
}

async function readSystem(client: LocalClient): Promise<Pick<DnsSituation, 'system' | 'systemError'>> {
  try {
    const { Nameservers, SearchDomains, MatchDomains } = (await client.json(
      'GET',
      'dns-osconfig',
    )) as Partial<OsDnsReply>
    const system = {
      Nameservers: Nameservers ?? [],
      SearchDomains: SearchDomains ?? [],
      MatchDomains: MatchDomains ?? [],
    }
    return { system, systemError: '' }
  } catch (error) {
    if (error instanceof LocalApiError) return { system: undefined, systemError: error.message }
    throw error
  }
}

/** There is no network yet. */
async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof LocalApiError && error.status === 503) return undefined
    throw error
  }
}

async function query({ args, connect, flags, terminal }: Invocation): Promise<number> {
  const [typed, type = 'A', ...rest] = args
  if (typed === undefined) throw new CommandError('missing required argument: name')
  if (rest.length > 0) throw new CommandError(`unexpected extra arguments: ${rest.join(' ')}`)
  const client = await connect()
  const name = typed.includes('.') ? typed : await machineName(client, typed)
  let reply: DnsQueryReply
  try {
    reply = (await client.json('GET', 'dns-query', {
      query: { name, type },
      timeoutMs: QUERY_TIMEOUT_MS,
    })) as DnsQueryReply
  } catch (error) {
    if (error instanceof LocalApiError) throw new CommandError(`failed to query DNS: ${error.message}`)
    throw error
  }
  const bytes = parseBase64(reply.Bytes)
  const message = bytes.ok ? decodeDns(bytes.value) : bytes
  if (!message.ok) throw new CommandError(`failed to parse DNS response: ${message.reason}`)
  const resolvers = reply.Resolvers ?? []
  const code = `RCode${RCODES[message.value.rcode] ?? message.value.rcode}`
  const answers = message.value.answers.map((record) => ({
    Name: `${record.name}.`,
    TTL: record.ttlSeconds,
    Class: record.class === 1 ? 'ClassINET' : String(record.class),
    Type: TYPES[record.type] === undefined ? String(record.type) : `Type${TYPES[record.type]}`,
    Body: bodyText(message.value, record),
  }))
  if (flags.bool('json')) {
    const list = resolvers.length === 0 ? {} : { Resolvers: resolvers }
    terminal.out(
      `${goJson({ Name: name, QueryType: type, ...list, ResponseCode: code, Answers: code === 'RCodeSuccess' ? answers : undefined }, '  ')}\n`,
    )
    return 0
  }
  terminal.out(`DNS query for ${quote(name)} (${type}) using internal resolver:\n\n`)
  terminal.out(resolvers.length === 0 && terminal.isInteractive ? nobodyText(code) : resolversText(resolvers))
  terminal.out(`\nResponse code: ${code}\n\n`)
  if (code !== 'RCodeSuccess') {
    terminal.out('No answers were returned.\n')
    return 0
  }
  if (answers.length === 0) terminal.out('  (no answers found)\n')
  const head = ['Name', 'TTL', 'Class', 'Type', 'Body']
  const rows = answers.map(({ Name, TTL, Class, Type, Body }) => [Name, String(TTL), Class, Type, Body])
  const lines = [head, head.map((word) => '-'.repeat(word.length)), ...rows].map((row) => row.join('\t'))
  terminal.out(`${alignTabs(lines.join('\n'), { padding: 2 })}\n\n`)
  return 0
}

/** As programs of this system complete it. */
async function machineName(client: LocalClient, name: string): Promise<string> {
  const suffix = (await client.status({ peers: false })).CurrentTailnet?.MagicDNSSuffix ?? ''
  return suffix === '' ? name : `${name}.${suffix}`
}

/** For a person; scripts get the stock command's list with nobody in it. */
function nobodyText(code: string): string {
  return code === 'RCodeServerFailure'
    ? 'No resolver is known that could be asked; see "pintail dns status".\n'
    : 'Answered here: the name belongs to this network.\n'
}

function resolversText(resolvers: DnsQueryReply['Resolvers']): string {
  const [only] = resolvers
  if (resolvers.length === 1 && only !== undefined) return `Forwarding to resolver: ${resolverText(only)}\n`
  return `Multiple resolvers available:\n${resolvers.map((one) => `  - ${resolverText(one)}\n`).join('')}`
}

function resolverText({ Addr, BootstrapResolution }: DnsQueryReply['Resolvers'][number]): string {
  return BootstrapResolution === undefined ? Addr : `${Addr} (bootstrap: [${BootstrapResolution.join(' ')}])`
}

function bodyText(message: DnsMessage, record: DnsRecord): string {
  const decoded = decodeRecordData(message, record)
  if (!decoded.ok) return ''
  const data = decoded.value
  switch (data.kind) {
    case 'address':
      return data.address
    case 'name':
      return `${data.name}.`
    case 'mx':
      return `${data.host}. (Priority=${data.preference})`
    case 'srv':
      return `Target=${data.target}., Port=${data.port}, Priority=${data.priority}, Weight=${data.weight}`
    case 'txt':
      return `[${data.texts.map((text) => quote(text)).join(' ')}]`
    case 'soa':
      return `${data.server}. ${data.mailbox}. ${data.serial}`
    default:
      return data.hex
  }
}
