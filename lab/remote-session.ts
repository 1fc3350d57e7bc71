/**
 * A person who works on a machine from afar: one TCP connection that carries lines both ways for as long as it lives, as
 * a session of SSH does. Real kernels' TCP on both sides.
 */
import type { ChildProcess } from 'node:child_process'
import { eventually } from './eventually.ts'
import { endProcess, type Host } from './host.ts'

const PORT = 2222
const ECHO = `require('node:net').createServer((s) => { s.on('error', () => {}); s.pipe(s) }).listen(${PORT}, '::', () => console.log('up'))`
const CLIENT = `console.log('start'); const s = require('node:net').connect(${PORT}, process.argv[1]); s.setNoDelay(true)
s.on('connect', () => console.log('port ' + s.localPort)); s.on('error', (e) => { console.log('gone ' + e.code); process.exit(1) })
s.on('close', () => { console.log('gone'); process.exit(1) }); process.stdin.pipe(s); s.pipe(process.stdout)`

export async function serveSessions(host: Host): Promise<void> {
  const server = host.start(process.execPath, ['-e', ECHO])
  await new Promise((resolve) => server.stdout?.once('data', resolve))
}

export class RemoteSession {
  /** As `sshd` says it. */
  readonly sshConnection: string
  readonly #client: ChildProcess
  #heard = ''
  #count = 0

  private constructor(client: ChildProcess, ends: { from: string; to: string; port: string }) {
    this.#client = client
    this.sshConnection = `${ends.from} ${ends.port} ${ends.to} ${PORT}`
    client.stdout?.on('data', (chunk: Buffer) => {
      this.#heard += chunk.toString()
    })
  }

  /** Undefined: it was not let in. */
  static async open(host: Host, from: string, to: string, withinMs = 3_000): Promise<RemoteSession | undefined> {
    const client = host.start(process.execPath, ['-e', CLIENT, to], { stdio: ['pipe', 'pipe', 'inherit'] })
    let said = ''
    client.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    const hear = (what: RegExp, patienceMs: number): Promise<string | undefined> =>
      eventually(String(what), () => what.exec(said)?.[1], { withinMs: patienceMs, everyMs: 20 }).catch(() => undefined)
    await hear(/(start)/, 20_000)
    const port = await hear(/port (\d+)\n/, withinMs)
    if (port !== undefined) return new RemoteSession(client, { from, to, port })
    await endProcess(client)
    return undefined
  }

  /** A line there and back on the very connection. */
  async works(withinMs: number): Promise<boolean> {
    const line = `line-${++this.#count};`
    this.#client.stdin?.write(line)
    return eventually(line, () => (this.#heard.includes(line) ? true : undefined), { withinMs, everyMs: 20 }).catch(
      () => false,
    )
  }

  close(): Promise<unknown> {
    return endProcess(this.#client)
  }
}
