/** Moves bytes over one TCP connection between two laboratory hosts and counts what arrived. */
import { eventually } from './eventually.ts'
import { endProcess, type Host } from './host.ts'

const PORT = 5099

const receive = (address: string) => `
const net = require('node:net')
const server = net.createServer((socket) => {
  let bytes = 0
  socket.on('data', (chunk) => { bytes += chunk.length })
  socket.on('end', () => { socket.end(String(bytes)) })
  socket.on('error', () => {})
}).listen(${PORT}, '${address}', () => console.log('up'))`

const send = (address: string, bytes: number) => `
const net = require('node:net')
const socket = net.connect(${PORT}, '${address}')
const chunk = Buffer.alloc(65536, 7)
let left = ${bytes}
const pump = () => { while (left > 0) { const part = chunk.subarray(0, Math.min(left, chunk.length)); left -= part.length; if (!socket.write(part)) return void socket.once('drain', pump) } socket.end() }
socket.on('connect', pump)
socket.on('data', (count) => process.stdout.write(count))
socket.on('error', (error) => { console.error(error.message); process.exit(1) })`

/** Answers how many bytes the receiver counted. */
export async function transfer(
  from: Host,
  to: Host,
  address: string,
  bytes: number,
  timeoutMs = 30_000,
): Promise<number> {
  const receiver = to.start(process.execPath, ['-e', receive(address)])
  try {
    let up = false
    receiver.stdout?.once('data', () => {
      up = true
    })
    await eventually('the receiver listens', () => (up ? true : undefined), { withinMs: 10_000 })
    return Number(await from.must(process.execPath, ['-e', send(address, bytes)], { timeoutMs }))
  } finally {
    await endProcess(receiver, 'SIGKILL')
  }
}
