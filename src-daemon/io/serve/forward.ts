/** A stream handed on to a program of this machine, with or without a PROXY header. [docs/rules/serve.md SVE-6] */
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Bytes } from '../../../src-protocol/wire/bytes.ts'

const DIAL_MS = 10_000

export type ForwardTarget = { readonly host: string; readonly port: number } | { readonly socketPath: string }

/** Both ways until both are done; either end's failure ends the other. `onFailure` hears of a program that is not there. */
export function forward(
  near: Duplex,
  target: ForwardTarget,
  header: Bytes | undefined,
  onFailure: (reason: string) => void,
): void {
  const far: Socket =
    'socketPath' in target
      ? connect({ path: target.socketPath, allowHalfOpen: true })
      : connect({ host: target.host, port: target.port, allowHalfOpen: true, noDelay: true })
  const late = setTimeout(() => far.destroy(new Error('no answer within 10 s')), DIAL_MS)
  let isConnected = false
  far.once('connect', () => {
    isConnected = true
    clearTimeout(late)
    if (header !== undefined) far.write(header)
    near.pipe(far)
    far.pipe(near)
  })
  far.on('error', (error) => {
    if (!isConnected) onFailure(error.message)
  })
  far.once('close', () => {
    clearTimeout(late)
    near.destroy()
  })
  near.on('error', () => far.destroy())
  near.once('close', () => far.destroy())
}
