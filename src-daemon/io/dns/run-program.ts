/** One program, one answer: absolute path, no shell, a fixed environment, a deadline. */
import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'

const FOLDERS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']
const LIMIT_MS = 10_000
const MAX_OUTPUT = 1 << 20

export async function findProgram(name: string, folders: readonly string[] = FOLDERS): Promise<string | undefined> {
  for (const folder of folders) {
    const path = `${folder}/${name}`
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  return undefined
}

export interface ProgramResult {
  readonly status: number
  readonly output: string
  readonly complaint: string
}

/** Fails only when it cannot be started. */
export function runProgram(
  path: string,
  args: readonly string[],
  input = '',
  maxOutput: number = MAX_OUTPUT,
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const env = { PATH: FOLDERS.join(':'), LC_ALL: 'C' } // those that we run are scripts
    const child = spawn(path, args, { stdio: ['pipe', 'pipe', 'pipe'], env, cwd: '/', timeout: LIMIT_MS })
    let output = ''
    let complaint = ''
    child.once('error', reject)
    if (child.pid === undefined) return // no descriptor or process left: `error` says which
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (output.length < maxOutput) output += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      if (complaint.length < MAX_OUTPUT) complaint += chunk
    })
    child.once('close', (code) => resolve({ status: code ?? -1, output, complaint }))
    child.stdin.on('error', () => {}) // it ended early; its status says why
    child.stdin.end(input)
  })
}
