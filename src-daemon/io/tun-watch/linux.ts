/**
 * What becomes of a TUN interface that we hold: deleted, or given another MTU. The kernel tells a descriptor's interface
 * in /proc/self/fdinfo, also after it moved to another network namespace, and an empty name once it is deleted. The MTU can
 * only be followed while the interface is in the namespace it was made in.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { errorCode } from '../log/log.ts'

const CHECK_MS = 1_000

export interface TunWatch {
  /** Look now: something was said about the interface. */
  check(): void
  close(): void
}

export interface TunWatchOptions {
  readonly interfaceName: string
  readonly onGone: () => void
  readonly onMtu: (mtuBytes: number) => void
}

export function openLinuxTunWatch(options: TunWatchOptions): TunWatch {
  const { interfaceName, onGone, onMtu } = options
  const descriptors = tunDescriptors()
  if (descriptors.length === 0) throw new Error('there is no descriptor of /dev/net/tun to watch')
  const index = readNumber(interfaceName, 'ifindex')
  let mtuBytes = readNumber(interfaceName, 'mtu')
  let isOver = false
  const timer = setInterval(() => check(), CHECK_MS)
  timer.unref()

  function check(): void {
    if (isOver) return
    if (descriptors.every((fd) => interfaceOf(fd) === '')) {
      close()
      onGone()
      return
    }
    const now = readNumber(interfaceName, 'ifindex') === index ? readNumber(interfaceName, 'mtu') : undefined
    if (now === undefined || now === mtuBytes) return
    mtuBytes = now
    onMtu(now)
  }

  function close(): void {
    isOver = true
    clearInterval(timer)
  }

  return { check, close }
}

function tunDescriptors(): string[] {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === '/dev/net/tun'
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false // the descriptor of the listing itself
      throw error
    }
  })
}

/** Empty when the interface is gone, and when the descriptor is. */
function interfaceOf(fd: string): string {
  try {
    return /^iff:\s*(\S+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? ''
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return ''
    throw error
  }
}

/** Undefined when there is no such interface here (any more). */
function readNumber(interfaceName: string, what: 'mtu' | 'ifindex'): number | undefined {
  try {
    return Number(readFileSync(`/sys/class/net/${interfaceName}/${what}`, 'utf8'))
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'EINVAL' || code === 'ENODEV') return undefined
    throw error
  }
}
