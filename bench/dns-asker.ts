/** Asks one name at a steady rate over UDP: `dns-asker SERVER NAME PER_SECOND SECONDS`; prints JSON. A program, so that it has a CPU of its own. */
import { createSocket } from 'node:dgram'
import { encodeDnsQuery } from '../src-protocol/wire/dns.ts'

const [server = '', name = '', perSecond = '0', seconds = '0'] = process.argv.slice(2)
const rate = Number(perSecond)
const total = rate * Number(seconds)
const warmUp = rate
const sentMs = new Map<number, number>()
const tookMs: number[] = []
let sent = 0
let answered = 0

const socket = createSocket('udp4')
socket.on('message', (bytes) => {
  const at = sentMs.get(bytes.readUInt16BE(0))
  if (at === undefined) return
  sentMs.delete(bytes.readUInt16BE(0))
  answered++
  if (answered > warmUp) tookMs.push(performance.now() - at)
})
socket.connect(53, server, () => {
  socket.setRecvBufferSize(4 << 20)
  const query = encodeDnsQuery(0, name, 1)
  if (query === undefined) throw new Error(`not a name: ${name}`)
  const started = performance.now()
  const tick = (): void => {
    const due = Math.min(total, Math.floor(((performance.now() - started) * rate) / 1_000))
    while (sent < due) {
      const id = sent++ & 0xffff
      new DataView(query.buffer).setUint16(0, id)
      sentMs.set(id, performance.now())
      socket.send(query.slice())
    }
    if (sent < total)
      setTimeout(tick, 1) // a handful at a time: spinning would take the CPU that is measured
    else setTimeout(finish, 1_000)
  }
  tick()
})

function finish(): void {
  tookMs.sort((a, b) => a - b)
  const at = (share: number): number => tookMs[Math.floor(tookMs.length * share)] ?? Number.NaN
  console.log(JSON.stringify({ p50Ms: at(0.5), p99Ms: at(0.99), answered: answered / total }))
  socket.close()
}
