/**
 * nftables: looks at what is there with `nft -j`, writes with one call.
 * Scripts are arguments: some versions open /dev/stdin anew, which a socket of ours does not allow. What is written: `nftables-text.ts`.
 */
import { type ProgramResult, runProgram } from '../dns/run-program.ts'
import type { FirewallBackend, FirewallLook } from './firewall-backend.ts'
import type { FirewallWish } from './firewall-rules.ts'
import { type NftListing, parseNftListing } from './nftables-output.ts'
import { families, madeBefore, nftScript, OWN_TABLE, OWNER, VALID_MARK } from './nftables-text.ts'
import { readValidMark, writeValidMark } from './valid-mark.ts'

/** Chains of others can be long. */
const MAX_OUTPUT = 32 << 20
const BASE_CHAINS = ['INPUT', 'FORWARD']
const OUR_TABLES = ['filter', OWN_TABLE]
const OUR_CHAINS = ['ts-input', 'ts-forward']

/** undefined = the kernel or the program cannot do it. */
export async function openNftables(path: string): Promise<FirewallBackend | undefined> {
  const { status } = await runProgram(path, ['-j', 'list', 'tables'], '', MAX_OUTPUT)
  return status === 0 ? new Nftables(path) : undefined
}

class Nftables implements FirewallBackend {
  readonly kind = 'nftables'
  readonly #path: string
  #natIpv6: Promise<boolean> | undefined
  /** Also when somebody flushed the note. */
  #madeValidMark = false

  constructor(path: string) {
    this.#path = path
  }

  async look(): Promise<FirewallLook> {
    const listing = await this.#list()
    const owner = listing.chains.find(({ table, name }) => table === OWN_TABLE && name.startsWith(OWNER))
    const own = listing.chains.filter(isOurs)
    const rules = listing.rules.filter(isOurs)
    const hooks = listing.rules.filter(
      (rule) => isShared(rule) && rule.table === 'filter' && BASE_CHAINS.includes(rule.chain),
    )
    return {
      owner: owner?.name.slice(OWNER.length),
      foreign:
        owner === undefined && own.length > 0
          ? (rules.flatMap(({ interfaces }) => interfaces).find((name) => name !== 'lo') ?? '')
          : undefined,
      fingerprint: JSON.stringify([
        own.map(({ family, table, name, hook }) => [family, table, name, hook]).sort(),
        rules.map(({ family, chain, text }) => [family, chain, text]),
        hooks.filter(({ jumpsTo = '' }) => OUR_CHAINS.includes(jumpsTo)).map(({ family, chain }) => [family, chain]),
      ]),
      firewalld: listing.tables.some(({ name }) => name === 'firewalld'),
      ufw: listing.chains.some(({ table, name }) => table === 'filter' && name === 'ufw-user-forward'),
    }
  }

  async write(wish: FirewallWish | undefined): Promise<void> {
    const listing = await this.#list()
    const wasMade = this.#madeValidMark || madeBefore(listing).includes(VALID_MARK)
    const needsMark = wish !== undefined && (wish.mode === 'on' || wish.groups.length > 0)
    const makes = needsMark && !wasMade && (await readValidMark()) === '0'
    // In this order whoever is killed in between has left a note of what to undo.
    if (wasMade && !needsMark) await writeValidMark('0')
    const script = nftScript(listing, wish, { madeValidMark: makes || (wasMade && needsMark) })
    if (script !== '') await this.#run([script])
    this.#madeValidMark = needsMark && (wasMade || makes)
    if (makes) await writeValidMark('1')
  }

  natIpv6(): Promise<boolean> {
    const script = `add table ip6 ${OWN_TABLE}\nadd chain ip6 ${OWN_TABLE} probe { type nat hook postrouting priority 99 ; }\nadd rule ip6 ${OWN_TABLE} probe masquerade\n`
    this.#natIpv6 ??= runProgram(this.#path, ['--check', script]).then(({ status }) => status === 0)
    return this.#natIpv6
  }

  /** All tables and chains, and the rules of the tables where ours are. */
  async #list(): Promise<NftListing> {
    const [tables, chains] = await Promise.all([
      this.#run(['-j', 'list', 'tables']).then(parseNftListing),
      this.#run(['-j', 'list', 'chains']).then(parseNftListing),
    ])
    const wanted = tables.tables.filter((table) => isShared(table) && OUR_TABLES.includes(table.name))
    // One by one: some versions mix up families in one call.
    const listed = await Promise.all(
      wanted.map(({ family, name }) => this.#run(['-j', 'list', 'table', family, name]).then(parseNftListing)),
    )
    return { tables: tables.tables, chains: chains.chains, rules: listed.flatMap(({ rules }) => rules) }
  }

  async #run(args: readonly string[]): Promise<string> {
    const result = await runProgram(this.#path, args, '', MAX_OUTPUT)
    if (result.status !== 0) throw new Error(complaintOf(result))
    return result.output
  }
}

function isShared({ family }: { family: string }): boolean {
  return (families as readonly string[]).includes(family)
}

function isOurs(item: { family: string; table: string; name?: string; chain?: string }): boolean {
  const chain = item.chain ?? item.name ?? ''
  return isShared(item) && (item.table === OWN_TABLE || (item.table === 'filter' && OUR_CHAINS.includes(chain)))
}

function complaintOf({ status, complaint }: ProgramResult): string {
  return `nft: ${complaint.trim().split('\n')[0]?.slice(0, 300) || `status ${status}`}`
}
