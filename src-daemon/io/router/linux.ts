/**
 * Linux: one `ip -batch` per change, so that a thousand peers are one process. Absolute path, empty environment, no
 * shell; every word in the batch is an address we parsed or our own interface name.
 */
import { spawn } from 'node:child_process'
import { access, readFile } from 'node:fs/promises'
import { isTailscaleIp, parseIp } from '../../../src-protocol/wire/ip.ts'
import { errorText } from '../log/log.ts'
import { batchLines, type InterfaceState, interfaceDown, stateOf } from './plan.ts'
import type { Router, RouterConfig, RouterResult } from './port.ts'

const IP_PATHS = ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip', '/bin/ip']
const RUN_LIMIT_MS = 10_000

export async function openLinuxRouter(device: string): Promise<Router> {
  for (const program of IP_PATHS) {
    const found = await access(program).then(
      () => true,
      () => false,
    )
    if (found) return new LinuxRouter(program, device)
  }
  throw new Error('the program ip (iproute2) is missing')
}

class LinuxRouter implements Router {
  readonly #program: string
  readonly #device: string
  #have: InterfaceState = interfaceDown
  #last: Promise<unknown> = Promise.resolve()

  constructor(program: string, device: string) {
    this.#program = program
    this.#device = device
  }

  apply(desired: RouterConfig | undefined): Promise<RouterResult> {
    const done = this.#last.then(() => this.#apply(desired))
    this.#last = done.catch(() => {})
    return done
  }

  forget(): void {
    void this.#last.then(() => {
      this.#have = interfaceDown
    })
  }

  async close(): Promise<void> {
    await this.apply(undefined)
  }

  async #apply(desired: RouterConfig | undefined): Promise<RouterResult> {
    try {
      if (desired !== undefined) {
        const conflict = await this.#findConflict(desired)
        if (conflict !== undefined) return conflict
      }
      const want = stateOf(desired, await hasIpv6(this.#device))
      const lines = batchLines(this.#device, this.#have, want)
      if (lines.length > 0) await this.#run(lines, want)
      this.#have = want
      return { kind: 'applied', warnings: [] }
    } catch (error) {
      return { kind: 'failed', message: errorText(error) }
    }
  }

  /** Somebody else may have changed the interface under us; then begin again from an empty one. */
  async #run(lines: string[], want: InterfaceState): Promise<void> {
    try {
      await this.#batch(lines)
    } catch {
      const empty = [`address flush dev ${this.#device}`, `link set dev ${this.#device} down`]
      this.#have = interfaceDown
      await this.#batch([...empty, ...batchLines(this.#device, interfaceDown, want)])
    }
  }

  async #batch(lines: string[]): Promise<void> {
    await runIp(this.#program, ['-force', '-batch', '-'], `${lines.join('\n')}\n`)
  }

  /** Our own address elsewhere, or another tunnel that owns addresses of such a network. */
  async #findConflict(desired: RouterConfig): Promise<RouterResult | undefined> {
    const text = await runIp(this.#program, ['-json', '-details', 'address', 'show'], '')
    for (const other of parseInterfaces(text)) {
      if (other.name === this.#device) continue
      for (const address of other.addresses) {
        if (desired.addresses.includes(address) || (other.kind === 'tun' && isOverlayAddress(address))) {
          return {
            kind: 'conflict',
            what: 'address',
            interfaceName: other.name,
            detail: `${other.name} has ${address}`,
          }
        }
      }
    }
    return undefined
  }
}

export interface OtherInterface {
  readonly name: string
  readonly kind: string
  readonly addresses: readonly string[]
}

/** The part of `ip -json -details address show` that we need; tolerant, since its form differs by version. */
export function parseInterfaces(text: string): OtherInterface[] {
  const found: OtherInterface[] = []
  const list: unknown = text.trim() === '' ? [] : JSON.parse(text)
  if (!Array.isArray(list)) return found
  for (const entry of list as {
    ifname?: string
    linkinfo?: { info_kind?: string }
    addr_info?: { local?: string }[]
  }[]) {
    if (typeof entry?.ifname !== 'string') continue
    const addresses = (entry.addr_info ?? []).flatMap((info) => (typeof info.local === 'string' ? [info.local] : []))
    found.push({ name: entry.ifname, kind: entry.linkinfo?.info_kind ?? '', addresses })
  }
  return found
}

function isOverlayAddress(text: string): boolean {
  const parsed = parseIp(text)
  return parsed.ok && isTailscaleIp(parsed.value)
}

/** Hosts without the family, or with it switched off for our interface, refuse its addresses. */
async function hasIpv6(device: string): Promise<boolean> {
  const setting = await readFile(`/proc/sys/net/ipv6/conf/${device}/disable_ipv6`, 'utf8').catch(() => '1')
  return setting.trim() === '0'
}

function runIp(program: string, args: string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: {}, cwd: '/', timeout: RUN_LIMIT_MS })
    let output = ''
    let complaint = ''
    child.once('error', reject)
    if (child.pid === undefined) return // no descriptor or process left: `error` says which, and there are no streams
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      complaint += chunk
    })
    child.once('close', (code) => {
      if (code === 0) resolve(output)
      else reject(new Error(`ip ${args.join(' ')}: ${complaint.trim().slice(0, 500) || `status ${code}`}`))
    })
    child.stdin.on('error', () => {}) // it ended early; its status says why
    child.stdin.end(input)
  })
}
