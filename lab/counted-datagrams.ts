/** Sends numbered datagrams from one host to another and counts which arrived, and which arrived more than once. */
import { eventually } from './eventually.ts'
import { endProcess, type Host } from './host.ts'

const PORT = 5098

const receive = (address: string) => `
const seen = new Map()
let repeated = 0
const socket = require('node:dgram').createSocket({ type: 'udp4', recvBufferSize: 1 << 22 })
socket.on('message', (bytes, from) => {
  const number = bytes.readUInt32BE()
  if (number === 0xffffffff) return void socket.send(JSON.stringify({ arrived: seen.size, repeated }), from.port, from.address)
  if (seen.has(number)) repeated++
  seen.set(number, true)
}).bind(${PORT}, '${address}', () => console.log('up'))`

const send = (address: string, count: number, perSecond: number) => `
const socket = require('node:dgram').createSocket('udp4')
const bytes = Buffer.alloc(600)
const started = performance.now()
let next = 0
const pump = setInterval(() => {
  const due = Math.min(${count}, (performance.now() - started) * ${perSecond} / 1000)
  for (; next < due; next++) { bytes.writeUInt32BE(next); socket.send(Buffer.from(bytes), ${PORT}, '${address}') }
  if (next < ${count}) return
  clearInterval(pump)
  // The last ones may still be on the way; the question itself may be lost.
  setTimeout(() => setInterval(() => { bytes.writeUInt32BE(0xffffffff); socket.send(bytes, ${PORT}, '${address}') }, 100), 500)
}, 5)
socket.on('message', (answer) => { process.stdout.write(answer.toString()); process.exit(0) })`

export async function countDatagrams(
  from: Host,
  to: Host,
  address: string,
  { count, perSecond }: { count: number; perSecond: number },
): Promise<{ arrived: number; repeated: number }> {
  const receiver = to.start(process.execPath, ['-e', receive(address)])
  try {
    let up = false
    receiver.stdout?.once('data', () => {
      up = true
    })
    await eventually('the receiver listens', () => (up ? true : undefined), { withinMs: 10_000 })
    return JSON.parse(await from.must(process.execPath, ['-e', send(address, count, perSecond)], { timeoutMs: 30_000 }))
  } finally {
    await endProcess(receiver, 'SIGKILL')
  }
}
