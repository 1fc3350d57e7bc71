/**
 * Going on in the background: the program starts itself anew, waits until that says it is ready, and ends. Why it could
 * not is said by the one in the foreground, because the other has no terminal.
 */
import { spawn } from 'node:child_process'

export type ReadyMessage = { readonly kind: 'ready' } | { readonly kind: 'failed'; readonly reason: string }

/** Runs this very program detached. Answers why it is not ready, or undefined when it is. */
export function startDetached(options: {
  readonly environment: NodeJS.ProcessEnv
  readonly keepsOutput: boolean
}): Promise<string | undefined> {
  const output = options.keepsOutput ? 'inherit' : 'ignore'
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: options.environment,
    stdio: ['ignore', output, output, 'ipc'],
  })
  return new Promise((resolve) => {
    child.once('message', (message: ReadyMessage) => {
      child.disconnect()
      child.unref()
      resolve(message.kind === 'ready' ? undefined : message.reason)
    })
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? code} before it was ready`))
  })
}

/** Told to whoever started us detached; nobody is, otherwise. */
export function tellStarter(message: ReadyMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve()
    process.send(message, () => {
      if (process.connected) process.disconnect()
      resolve()
    })
  })
}
