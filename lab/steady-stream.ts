/**
 * A TCP connection that says something all the time: a kilobyte every 50 ms, answered by the same. What it tells is whether
 * the connection lived, whether every byte came back, and the longest silence in between.
 */
import { eventually } from './eventually.ts'
import { endProcess, type Host } from './host.ts'

const PORT = 5088

const answer = (address: string) => `
require('node:net').createServer((socket) => { socket.on('error', () => {}); socket.pipe(socket) })
  .listen(${PORT}, '${address}', () => console.log('up'))`

const talk = (address: string, seconds: number) => `
const socket = require('node:net').connect(${PORT}, '${address}')
let sent = 0, received = 0, longestMs = 0, wrong = 0, last = performance.now()
const byteAt = (at) => (at * 31 + (at >>> 8)) & 255
const done = (error) => { console.log(JSON.stringify({ sent, received, wrong, longestMs: Math.round(longestMs), error })); process.exit(0) }
socket.setNoDelay(true)
socket.on('connect', () => {
  last = performance.now()
  const timer = setInterval(() => { socket.write(Uint8Array.from({ length: 1024 }, (_, i) => byteAt(sent + i))); sent += 1024 }, 50)
  setTimeout(() => { clearInterval(timer); socket.end() }, ${seconds * 1000})
})
socket.on('data', (bytes) => {
  for (const byte of bytes) if (byte !== byteAt(received++)) wrong++
  const now = performance.now()
  longestMs = Math.max(longestMs, now - last)
  last = now
})
socket.on('end', () => done())
socket.on('error', (error) => done(error.message))`

export interface SteadyStreamReport {
  readonly sent: number
  readonly received: number
  /** Bytes that came back other than they went. */
  readonly wrong: number
  readonly longestMs: number
  readonly error?: string
}

export async function steadyStream(
  from: Host,
  to: Host,
  address: string,
  seconds: number,
): Promise<SteadyStreamReport> {
  const answerer = to.start(process.execPath, ['-e', answer(address)])
  try {
    let up = false
    answerer.stdout?.once('data', () => {
      up = true
    })
    await eventually('the answering end listens', () => (up ? true : undefined), { withinMs: 10_000 })
    const timeoutMs = (seconds + 30) * 1000
    return JSON.parse(await from.must(process.execPath, ['-e', talk(address, seconds)], { timeoutMs }))
  } finally {
    await endProcess(answerer, 'SIGKILL')
  }
}
