/** Where this system keeps the authorities that its administrator trusts. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CommandError } from '../verb.ts'

const run = promisify(execFile)
const UPDATE_MS = 60_000

export interface TrustStore {
  add(domain: string, pem: string): Promise<void>
  /** False: it was not there. */
  remove(domain: string): Promise<boolean>
  holds(domain: string, pem: string): boolean
}

/** Debian and its relatives; Fedora and its; Arch and its. */
const places = [
  { folder: '/usr/local/share/ca-certificates', program: 'update-ca-certificates', fresh: ['--fresh'] },
  { folder: '/etc/pki/ca-trust/source/anchors', program: 'update-ca-trust', fresh: [] },
  { folder: '/etc/ca-certificates/trust-source/anchors', program: 'update-ca-trust', fresh: [] },
] as const

/** undefined: this system has none of those. */
export async function findTrustStore(root = '/'): Promise<TrustStore | undefined> {
  const place = places.find(
    ({ folder, program }) =>
      existsSync(join(root, folder)) &&
      ['usr/sbin', 'usr/bin', 'sbin', 'bin'].some((bin) => existsSync(join(root, bin, program))),
  )
  if (place === undefined) return undefined
  const pathOf = (domain: string): string => join(root, place.folder, `pintail-${checked(domain)}.crt`)
  const update = async (words: readonly string[]): Promise<void> => {
    try {
      await run(place.program, [...words], { timeout: UPDATE_MS })
    } catch (error) {
      throw new CommandError(`${place.program} failed: ${(error as Error).message}`)
    }
  }
  return {
    async add(domain, pem) {
      await writeFile(pathOf(domain), pem, { mode: 0o644 })
      await update([])
    },
    async remove(domain) {
      if (!existsSync(pathOf(domain))) return false
      await rm(pathOf(domain))
      await update(place.fresh)
      return true
    },
    holds: (domain, pem) => existsSync(pathOf(domain)) && readFileSync(pathOf(domain), 'utf8') === pem,
  }
}

/** Becomes a file name. */
function checked(domain: string): string {
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(domain) || domain.includes('..'))
    throw new CommandError(`${JSON.stringify(domain)} is no domain`)
  return domain
}
