/**
 * Asks one name at a steady rate over UDP: `dns-asker SERVER NAME PER_SECOND SECONDS`; prints JSON. A program of its own,
 * so that it takes no turn of whom it measures; a handful of questions each millisecond, since spinning would take the
 * CPU that is measured. On a machine that has other work it is held up itself: what waited for an answer then is left out,
 * and counted.
 */
import { createSocket } from 'node:dgram'
import { encodeDnsQuery } from '../src-protocol/wire/dns.ts'

export interface AskerFigures {
  readonly p50Ms: number
  readonly p99Ms: number
  /** Left out: the asker did not run while the answer was waited for. */
  readonly heldUp: number
  /** Of those sent. */
  readonly lost: number
  readonly sent: number
}

const [server = '', name = '', perSecond = '0', seconds = '0'] = process.argv.slice(2)
const rate = Number(perSecond)
const total = rate * Number(seconds)
/** In one turn, should we be late: the queues of an interface and a socket hold a few hundred. */
const MAX_HANDFUL = 50
/** The first ones wake everybody up. */
const warmUp = Math.floor(rate / 5)
const sentMs = new Float64Array(65_536)
const tookMs = new Float64Array(total)
let sent = 0
let answered = 0
let counted = 0
let heldUp = 0
let aliveMs = performance.now()
let heldUntilMs = 0
/** Turns are a millisecond apart. */
const HELD_UP_MS = 3

function noteAlive(now: number): void {
  if (now - aliveMs > HELD_UP_MS) heldUntilMs = now
  aliveMs = now
}

const socket = createSocket('udp4')
socket.on('message', (bytes) => {
  const now = performance.now()
  noteAlive(now)
  const id = bytes.readUInt16BE(0)
  const at = sentMs[id]!
  if (at === 0) return
  sentMs[id] = 0
  if (++answered <= warmUp) return
  if (at < heldUntilMs) heldUp++
  else tookMs[counted++] = now - at
})
socket.connect(53, server, () => {
  socket.setRecvBufferSize(4 << 20)
  const query = encodeDnsQuery(0, name, 1)
  if (query === undefined) throw new Error(`not a name: ${name}`)
  const started = performance.now()
  const tick = (): void => {
    noteAlive(performance.now())
    const onTime = Math.min(total, Math.floor(((performance.now() - started) * rate) / 1_000))
    const due = Math.min(onTime, sent + MAX_HANDFUL)
    while (sent < due) {
      const now = performance.now()
      const id = sent++ & 0xffff
      const question = Buffer.from(query)
      question.writeUInt16BE(id, 0)
      sentMs[id] = now
      socket.send(question)
    }
    aliveMs = performance.now()
    if (sent < total) setTimeout(tick, 1)
    else setTimeout(finish, 500)
  }
  tick()
})

function finish(): void {
  const lost = total - answered
  const figures: AskerFigures = {
    p50Ms: at(tookMs.subarray(0, counted), 0.5),
    p99Ms: at(tookMs.subarray(0, counted), 0.99),
    heldUp: heldUp / total,
    lost,
    sent: total,
  }
  console.log(JSON.stringify(figures))
  socket.close()
}

function at(values: Float64Array, share: number): number {
  return values.sort()[Math.floor(values.length * share)] ?? Number.NaN
}
