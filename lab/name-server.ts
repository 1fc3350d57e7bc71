/** A scripted name server on a laboratory host, over UDP and TCP; its manners are those of bad networks. Runs itself as a program. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { decodeDnsQuery, encodeDnsReply } from '../src-protocol/wire/dns.ts'
import { addressRecord } from '../src-protocol/wire/dns-record.ts'
import { endProcess, type Host } from './host.ts'

/** `dead`: takes questions and says nothing. `truncates PREFIX`: names that begin so only come over TCP. */
export type Manner = 'fine' | 'dead' | 'tcp only' | 'slow' | 'wrong id' | `truncates ${string}`

export interface NameServerOptions {
  readonly address: string
  /** Name → IPv4 or IPv6 address. */
  readonly zones: { readonly [name: string]: string }
  readonly manner: Manner
}

export interface NameServer {
  stop(): Promise<void>
}

export async function startNameServer(host: Host, options: NameServerOptions): Promise<NameServer> {
  const child = host.start(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(options)])
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    let complaint = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint += chunk.toString()
    })
    child.once('close', (code) => reject(new Error(`the name server ended with ${code}: ${complaint}`)))
  })
  return { stop: () => endProcess(child) }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve(JSON.parse(process.argv[2] ?? '') as NameServerOptions)

function serve({ address, zones, manner }: NameServerOptions): void {
  const answer = (bytes: Uint8Array, isStream: boolean): Uint8Array | undefined => {
    const query = decodeDnsQuery(bytes)
    if (!query.ok || manner === 'dead' || (manner === 'tcp only' && !isStream)) return undefined
    const { name, type } = query.value.question
    const record = addressRecord(zones[name] ?? '')
    const isCut = !isStream && manner.startsWith('truncates ') && name.startsWith(manner.slice('truncates '.length))
    const answers = record === undefined || record.type !== type ? [] : [{ ...record, ttlSeconds: 60 }]
    const rcode = record === undefined ? 3 : 0
    const reply = encodeDnsReply(query.value, { rcode, answers }, isCut ? 20 : 65_535)
    return manner === 'wrong id' ? reply.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) : reply
  }
  const soon = manner === 'slow' ? 5_000 : 0
  const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  udp.on('message', (bytes, from) => {
    const reply = answer(bytes, false)
    if (reply !== undefined) setTimeout(() => udp.send(reply, from.port, from.address), soon)
  })
  const tcp = createServer((socket) => {
    socket.on('error', () => {})
    let have = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      have = Buffer.concat([have, chunk])
      while (have.length >= 2 && have.length >= 2 + have.readUInt16BE(0)) {
        const reply = answer(have.subarray(2, 2 + have.readUInt16BE(0)), true)
        have = have.subarray(2 + have.readUInt16BE(0))
        if (reply === undefined) continue
        const length = Buffer.alloc(2)
        length.writeUInt16BE(reply.length)
        setTimeout(() => socket.write(Buffer.concat([length, reply])), soon)
      }
    })
  })
  udp.bind(53, address, () => tcp.listen(53, address, () => process.stdout.write('ready\n')))
}
