/**
 * User names through NSS by `getent passwd`, so that directory users count too. Names that are all digits are refused
 * (they would be taken for a uid), and so is an answer whose own name differs.
 */
import { execFile } from 'node:child_process'
import type { UserAccounts } from './port.ts'

const GETENT = '/usr/bin/getent'
const KEEP_MS = 5_000
/** The operator, users of the bypass, and whoever is asked about. */
const MAX_KEPT = 256
const RUN_LIMIT_MS = 3_000
const USER_NAME = /^(?![0-9]+$)[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?$/

export function posixUserAccounts(): UserAccounts {
  const kept = new Map<string, { readonly uid: Promise<number | undefined>; readonly untilMs: number }>()
  return {
    uidOf(name) {
      if (!USER_NAME.test(name)) return Promise.resolve(undefined)
      const known = kept.get(name)
      if (known !== undefined && known.untilMs > performance.now()) return known.uid
      const uid = lookUp(name)
      if (kept.size >= MAX_KEPT) kept.clear()
      kept.set(name, { uid, untilMs: performance.now() + KEEP_MS })
      return uid
    },
  }
}

function lookUp(name: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    execFile(GETENT, ['passwd', '--', name], { env: {}, cwd: '/', timeout: RUN_LIMIT_MS }, (error, output) => {
      resolve(error === null ? parsePasswdLine(output, name) : undefined)
    })
  })
}

/** `name:x:1000:1000:…` */
export function parsePasswdLine(output: string, name: string): number | undefined {
  const fields = output.split('\n')[0]?.split(':') ?? []
  if (fields[0] !== name || !/^\d{1,10}$/.test(fields[2] ?? '')) return undefined
  return Number(fields[2])
}
