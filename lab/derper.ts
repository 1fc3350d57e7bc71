/** The stock relay on a laboratory host, with a self-made certificate that the relay map pins. */
import type { ChildProcess } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { stockProgram } from './daemon.ts'
import { eventually } from './eventually.ts'
import { endProcess } from './host.ts'
import type { PublicHost } from './internet.ts'

export interface Derper {
  readonly machine: PublicHost
  /** `sha256-raw:…`, for `cert_name` in a relay map. */
  readonly certName: string
  stop(): Promise<void>
}

export const DERPER_PORT = 444

export async function startDerper(machine: PublicHost, folder: string): Promise<Derper> {
  const program = stockProgram('derper')
  if (program === undefined) throw new Error('no derper; npm run peers installs it')
  mkdirSync(folder, { recursive: true })
  const args = ['-a', `:${DERPER_PORT}`, '-http-port', '-1', '-certmode', 'manual', '-certdir', folder]
  const child: ChildProcess = machine.host.start(program, [
    ...args,
    '-hostname',
    machine.address,
    '-c',
    join(folder, 'derper.json'),
  ])
  let log = ''
  const hear = (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-20_000)
  }
  child.stdout?.on('data', hear)
  child.stderr?.on('data', hear)
  // For an address it makes its own certificate at the start; half a file is none.
  const certificate = await eventually(
    'derper has made its certificate',
    () => new X509Certificate(readFileSync(join(folder, `${machine.address}.crt`))),
    { withinMs: 15_000 },
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${log}`)
  })
  const sha256 = createHash('sha256').update(certificate.raw).digest('hex')
  return { machine, certName: `sha256-raw:${sha256}`, stop: () => endProcess(child) }
}
