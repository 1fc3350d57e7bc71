/**
 * A machine between two WireGuard devices that take it for each other: passes their datagrams on, tells what passed, holds
 * back or adds what a test wants.
 */
import type { ChildProcess } from 'node:child_process'
import { eventually } from './eventually.ts'
import { endProcess, type Host } from './host.ts'

const PORT = 51820
/** A second port, for datagrams that come another way. */
const OTHER_PORT = 51821

export interface Passed {
  /** Wall clock, ms. */
  readonly at: number
  readonly from: string
  /** First byte: 1 initiation, 2 response, 3 cookie, 4 data. */
  readonly type: number
  readonly bytes: number
}

const program = (a: string, b: string) => `
const sockets = [${PORT}, ${OTHER_PORT}].map((port) => { const s = require('node:dgram').createSocket('udp4'); s.bind(port); return s })
let held = [], way = {}
for (const socket of sockets) socket.on('message', (bytes, { address }) => {
  const to = address === '${a}' ? '${b}' : '${a}'
  console.log(JSON.stringify({ at: Date.now(), from: address, type: bytes[0] ?? 0, bytes: bytes.length }))
  if (!held.includes(address + ' ' + bytes[0])) sockets[way[address] ?? 0].send(bytes, ${PORT}, to)
})
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line)
  if (order.held !== undefined) held = order.held
  if (order.way !== undefined) way = order.way
  if (order.hex !== undefined) sockets[0].send(Buffer.from(order.hex, 'hex'), ${PORT}, order.to)
})
console.log('up')`

export class Middlebox {
  readonly passed: Passed[] = []
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(host: Host, a: string, b: string): Promise<Middlebox> {
    const child = host.start(process.execPath, ['-e', program(a, b)], { stdio: ['pipe', 'pipe', 'inherit'] })
    const box = new Middlebox(child)
    let text = ''
    let isUp = false
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (text + chunk.toString()).split('\n')
      text = lines.pop() ?? ''
      for (const line of lines)
        if (line === 'up') isUp = true
        else box.passed.push(JSON.parse(line))
    })
    await eventually('the middlebox is up', () => (isUp ? true : undefined), { withinMs: 10_000 })
    return box
  }

  /** Swallows these from now on: sender and type. */
  hold(...what: { from: string; type: number }[]): void {
    this.#order({ held: what.map(({ from, type }) => `${from} ${type}`) })
  }

  /** Datagrams of this sender leave by the other port from now on. */
  reroute(from: string): void {
    this.#order({ way: { [from]: 1 } })
  }

  inject(to: string, bytes: Uint8Array): void {
    this.#order({ to, hex: Buffer.from(bytes).toString('hex') })
  }

  stop(): Promise<void> {
    return endProcess(this.#child)
  }

  #order(order: object): void {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`)
  }
}
