/** The program `pintail`: this process's streams, environment and signals, and nothing else. */

import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { createInterface } from 'node:readline/promises'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCli } from './cli.ts'
import type { Terminal } from './verb.ts'
import { pintail } from './verbs.ts'

const GRACE_MS = 2000
const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())
process.once('SIGTERM', () => interrupted.abort())
// `pintail status | head -1` closes the pipe early; that is not our failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

const terminal: Terminal = {
  out: (words) => void process.stdout.write(words),
  err: (words) => void process.stderr.write(words),
  draw: (words) => void process.stderr.write(words),
  env: process.env,
  uid: process.getuid?.() ?? 0,
  platform: process.platform,
  interrupted: interrupted.signal,
  now: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
  isInteractive: process.stdin.isTTY === true,
  confirm: async (question, signal) => {
    if (!process.stdin.isTTY) return false
    const lines = createInterface({ input: process.stdin, output: process.stdout })
    const ends = signal === undefined ? interrupted.signal : AbortSignal.any([interrupted.signal, signal])
    const answer = await lines.question(`${question} [y/N] `, { signal: ends }).catch(() => '')
    lines.close()
    return /^y(es)?$/i.test(answer.trim())
  },
  readFile: (path) => readFile(path, 'utf8'),
  readInput: () => text(process.stdin),
  openInput: () => process.stdin,
  isDrawn: process.stderr.isTTY === true,
  localAddresses: () => Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
  resolveHost: async (name) => {
    const found = await lookup(name, { all: true }).catch(() => []) // a name nobody knows has no addresses
    return found.map(({ address }) => address)
  },
  graceMs: GRACE_MS,
}

process.exitCode = await runCli(process.argv.slice(2), terminal, pintail)
