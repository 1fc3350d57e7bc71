/** Runs one fixed command with the administrator's rights: polkit's own prompt where it is, sudo-prompt elsewhere. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import sudo from 'sudo-prompt'
import { AppError } from '../app-error.ts'

const runFile = promisify(execFile)
const PKEXEC = '/usr/bin/pkexec'
const PROMPT_TIMEOUT_MS = 120_000
/** pkexec: 126 the person closed the prompt, 127 not authorised or no agent. */
const pkexecRefusals = new Map([
  [126, 'cancelled'],
  [127, 'not-allowed'],
] as const)

export async function runAsAdmin(command: readonly string[]): Promise<void> {
  const [program, ...args] = command
  if (program === undefined) return
  if (process.getuid?.() === 0) await runPlainly(program, args)
  else if (existsSync(PKEXEC)) await runPlainly(PKEXEC, [program, ...args])
  else await runWithPrompt(command)
}

async function runPlainly(program: string, args: readonly string[]): Promise<void> {
  try {
    await runFile(program, args, { timeout: PROMPT_TIMEOUT_MS })
  } catch (error) {
    const { code, stderr } = error as { code?: number | string; stderr?: string }
    const refusal = program === PKEXEC ? pkexecRefusals.get(code as 126 | 127) : undefined
    throw new AppError(refusal ?? 'failed', (stderr ?? '').trim() || String(code ?? ''), { cause: error })
  }
}

function runWithPrompt(command: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    sudo.exec(command.join(' '), { name: 'Pintail' }, (error) => {
      if (!error) resolve()
      else if (/did not grant permission/i.test(error.message)) reject(new AppError('cancelled', '', { cause: error }))
      else reject(new AppError('failed', error.message, { cause: error }))
    })
  })
}
