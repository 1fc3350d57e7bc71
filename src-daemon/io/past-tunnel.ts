/**
 * TCP connections of the daemon's own that must never go through the tunnel: to relays, to the coordination server. They
 * carry the routing mark from their first packet on.
 */
import { lookup } from 'node:dns/promises'
import net, { isIP } from 'node:net'
import { createMarkedSocket } from '../../src-native/os-calls.ts'

/** An attempt starts this much after the one before. */
const STAGGER_MS = 200

/** With an exit node, names are asked through the tunnel: when it is gone, what we know must do. */
const LOOKUP_PATIENCE_MS = 2_000
const MAX_REMEMBERED = 256
const remembered = new Map<string, string>()

export interface Target {
  readonly family: 4 | 6
  readonly port: number
  /** An address of that family, or a name to be looked up. */
  readonly host: string
}

export interface PastTunnel {
  /** 0: no mark. */
  readonly fwmark: number
  readonly signal: AbortSignal
}

/** Each a little after the one before, or when that has failed; the first to connect wins and the others are dropped. */
export async function connectFirst(
  targets: readonly Target[],
  withinMs: number,
  options: PastTunnel,
): Promise<net.Socket> {
  const rest = new AbortController()
  const limit = AbortSignal.timeout(withinMs)
  const signal = AbortSignal.any([options.signal, rest.signal, limit])
  try {
    const attempts: Promise<net.Socket>[] = []
    for (const target of targets) {
      const before = attempts.at(-1)
      const turn = before === undefined ? Promise.resolve() : turnAfter(before, signal)
      attempts.push(turn.then(() => connectTo(target, { ...options, signal })))
    }
    return await Promise.any(attempts)
  } catch (error) {
    options.signal.throwIfAborted()
    if (limit.aborted) throw new Error(`${targets[0]?.host} did not answer in time`)
    throw error instanceof AggregateError ? error.errors[0] : error
  } finally {
    rest.abort()
  }
}

/** A TCP connection past the tunnel. */
export async function connectTo({ host, family, port }: Target, { fwmark, signal }: PastTunnel): Promise<net.Socket> {
  const address = await resolve(host, family, signal)
  const socket = fwmark === 0 ? new net.Socket() : new net.Socket({ fd: createMarkedSocket(family, fwmark) })
  socket.connect({ host: address, port, family })
  socket.setNoDelay(true)
  await settled(socket, 'connect', signal)
  socket.setKeepAlive(true, 30_000)
  return socket
}

/** Waits a moment for the attempt before; no longer than it takes to fail. */
function turnAfter(before: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, STAGGER_MS)
    before.catch(() => {
      clearTimeout(timer)
      resolve()
    })
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })
}

/** Waits for one event; an error, an end or an abort destroys the socket and fails. */
export function settled(socket: net.Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: unknown) => {
      socket.off(event, onEvent)
      socket.off('error', done)
      socket.off('close', onClose)
      signal.removeEventListener('abort', onAbort)
      if (error === undefined) return resolve()
      socket.on('error', () => {}) // what follows after we have given up is no news
      socket.destroy()
      reject(error)
    }
    const onEvent = () => done()
    const onClose = () => done(new Error('the other side closed the connection'))
    const onAbort = () => done(signal.reason)
    socket.once(event, onEvent)
    socket.once('error', done)
    socket.once('close', onClose)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
  })
}

/** The address behind a host; the system's resolver cannot be stopped, so an abort only stops our waiting for it. */
export async function resolve(host: string, family: 4 | 6, signal: AbortSignal): Promise<string> {
  if (isIP(host) === family) return host
  signal.throwIfAborted()
  const key = `${host} ${family}`
  const known = remembered.get(key)
  const patience = known === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_PATIENCE_MS)])
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(patience.reason)
    patience.addEventListener('abort', onAbort)
  })
  try {
    const { address } = await Promise.race([lookup(host, { family }), aborted])
    remembered.delete(key)
    remembered.set(key, address)
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value ?? '')
    return address
  } catch (error) {
    signal.throwIfAborted()
    if (known === undefined) throw error
    return known
  } finally {
    patience.removeEventListener('abort', onAbort)
  }
}
