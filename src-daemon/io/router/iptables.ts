/** iptables, where nftables is not to be had. What is written: `iptables-text.ts`. */
import { readFile } from 'node:fs/promises'
import { findProgram, runProgram } from '../dns/run-program.ts'
import type { FirewallBackend, FirewallLook } from './firewall-backend.ts'
import type { FamilyRules, FirewallWish } from './firewall-rules.ts'
import { chainsOf, ownerIn, parseSaved, restoreText, type SavedLines, VALID_MARK } from './iptables-text.ts'
import { readValidMark, writeValidMark } from './valid-mark.ts'

const MAX_OUTPUT = 32 << 20
const LOCK_WAIT_SECONDS = '5'

interface Programs {
  readonly save: string
  readonly restore: string
}

/** undefined = the programs are missing or the kernel cannot do it. */
export async function openIptables(folders?: readonly string[]): Promise<FirewallBackend | undefined> {
  const v4 = await findPrograms('iptables', folders)
  const v6 = await findPrograms('ip6tables', folders)
  return v4 === undefined ? undefined : new Iptables(v4, v6)
}

/** Tables of the old kind, which the host's `iptables` still fills: what is dropped there, no rule of nftables brings back. */
export async function usesOldTables(folders?: readonly string[]): Promise<boolean> {
  return (await hasOldTables()) && (await isOldKind(folders))
}

/** Without making tables by looking, as the old kind does. */
export async function mayHaveRules(folders?: readonly string[]): Promise<boolean> {
  return (await hasOldTables()) || !(await isOldKind(folders))
}

async function hasOldTables(): Promise<boolean> {
  const names = await readFile('/proc/net/ip_tables_names', 'utf8').catch(() => '') // not there, or not ours to read
  return names.split('\n').includes('filter')
}

async function isOldKind(folders?: readonly string[]): Promise<boolean> {
  const program = await findProgram('iptables-save', folders)
  return program !== undefined && (await runProgram(program, ['-V'])).output.includes('legacy')
}

async function findPrograms(name: string, folders?: readonly string[]): Promise<Programs | undefined> {
  const [save, restore] = await Promise.all([
    findProgram(`${name}-save`, folders),
    findProgram(`${name}-restore`, folders),
  ])
  if (save === undefined || restore === undefined) return undefined
  const probe = await runProgram(save, ['-t', 'filter'], '', MAX_OUTPUT)
  return probe.status === 0 ? { save, restore } : undefined
}

class Iptables implements FirewallBackend {
  readonly kind = 'iptables'
  readonly #v4: Programs
  readonly #v6: Programs | undefined
  /** Also when somebody flushed the note. */
  #madeValidMark = false

  constructor(v4: Programs, v6: Programs | undefined) {
    this.#v4 = v4
    this.#v6 = v6
  }

  async look(): Promise<FirewallLook> {
    const [text4, text6] = await Promise.all([save(this.#v4), this.#v6 === undefined ? '' : save(this.#v6)])
    const [v4, v6] = [parseSaved(text4), parseSaved(text6)]
    const owner = ownerIn(v4) ?? ownerIn(v6)
    const isThere = [...v4, ...v6].length > 0
    return {
      owner,
      foreign: owner === undefined && isThere ? (/-A ts-\S+ .*-[io] (?!lo\b)(\S+)/.exec(text4)?.[1] ?? '') : undefined,
      fingerprint: JSON.stringify([v4, v6]),
      firewalld: /^:(IN_public|INPUT_ZONES) /m.test(text4),
      ufw: /^:ufw-user-forward /m.test(text4),
    }
  }

  async write(wish: FirewallWish | undefined): Promise<void> {
    const saved = parseSaved(await save(this.#v4))
    const wasMade = this.#madeValidMark || chainsOf(saved).includes(VALID_MARK)
    const needsMark = wish?.mode === 'on'
    const makes = needsMark && !wasMade && (await readValidMark()) === '0'
    if (wasMade && !needsMark) await writeValidMark('0')
    await this.#restore(this.#v4, saved, wish?.v4, wish, makes || (wasMade && needsMark))
    if (this.#v6 !== undefined) await this.#restore(this.#v6, parseSaved(await save(this.#v6)), wish?.v6, wish, false)
    this.#madeValidMark = needsMark && (wasMade || makes)
    if (makes) await writeValidMark('1')
  }

  async natIpv6(): Promise<boolean> {
    return this.#v6 !== undefined && (await hasNat(this.#v6))
  }

  async #restore(
    programs: Programs,
    saved: SavedLines,
    rules: FamilyRules | undefined,
    wish: FirewallWish | undefined,
    madeValidMark: boolean,
  ): Promise<void> {
    const wanted = wish?.mode === 'off' ? undefined : rules
    const options = { hasNat: await hasNat(programs), madeValidMark }
    const text = restoreText(saved, wanted, wish ?? { device: '', mode: 'off' }, options)
    if (text === '') return
    const result = await runProgram(programs.restore, ['--noflush', '-w', LOCK_WAIT_SECONDS], text)
    if (result.status !== 0) throw new Error(`iptables: ${result.complaint.trim().split('\n')[0]?.slice(0, 300)}`)
  }
}

async function save({ save: program }: Programs): Promise<string> {
  const result = await runProgram(program, [], '', MAX_OUTPUT)
  if (result.status !== 0) throw new Error(`iptables: ${result.complaint.trim().split('\n')[0]?.slice(0, 300)}`)
  return result.output
}

async function hasNat({ save: program }: Programs): Promise<boolean> {
  const { status } = await runProgram(program, ['-t', 'nat'], '', MAX_OUTPUT)
  return status === 0
}
