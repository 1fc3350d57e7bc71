/** The race of a dial: first what the URL says, then, on failure or after a moment, the other port. [CTL-2.2] */
import { setTimeout } from 'node:timers/promises'
import type { Crypto } from '../../../src-protocol/wire/crypto.ts'
import type { DialTarget, ServerAddress } from './dial-plan.ts'
import { connectionError } from './port.ts'
import type { SocketOpener } from './sockets.ts'
import { type Upgraded, upgrade } from './upgrade.ts'

const HEAD_START_MS = 500
export const DIAL_TIMEOUT_MS = 10_000

export interface DialOptions {
  readonly crypto: Crypto
  readonly sockets: SocketOpener
  readonly server: ServerAddress
  readonly machinePrivate: Uint8Array
  readonly serverPublic: Uint8Array
  readonly version: number
  readonly signal: AbortSignal
}

/** Throws the first target's error when none succeeds: it is the one the user asked for. */
export async function dial(o: DialOptions): Promise<Upgraded> {
  const over = new AbortController()
  const signal = AbortSignal.any([o.signal, over.signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)])
  let winner: Upgraded | undefined
  let firstError: unknown
  const run = async (target: DialTarget): Promise<void> => {
    try {
      const upgraded = await upgrade({ ...o, target, signal })
      if (winner === undefined) winner = upgraded
      else upgraded.stream.destroy()
      over.abort()
    } catch (error) {
      firstError ??= connectionError(o.server.authority, signal.aborted ? signal.reason : error)
    }
  }
  const runs: Promise<void>[] = []
  for (const target of o.server.targets) {
    if (runs.length > 0) await Promise.race([...runs, pause(HEAD_START_MS, signal)])
    if (winner !== undefined || signal.aborted) break
    runs.push(run(target))
  }
  await Promise.all(runs) // the winner has cancelled the others
  o.signal.throwIfAborted()
  if (winner === undefined) throw firstError
  return winner
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => undefined) // cancelled is over, too
}
