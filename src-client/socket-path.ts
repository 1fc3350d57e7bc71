/**
 * Which daemon to talk to: the one named, else the first default socket on which somebody answers, ours before the
 * stock daemon's. When nobody answers, our own path, so that the message names the daemon people expect.
 */
import { connect } from 'node:net'
import { DEFAULT_SOCKET_PATH } from '../src-contract/localapi/socket-path.ts'

export function defaultSocketPaths(platform: NodeJS.Platform = process.platform): string[] {
  switch (platform) {
    case 'win32':
      return ['\\\\.\\pipe\\pintaild', '\\\\.\\pipe\\ProtectedPrefix\\Administrators\\Tailscale\\tailscaled']
    case 'darwin':
      return ['/var/run/pintaild.sock', '/var/run/tailscaled.socket']
    default:
      return [DEFAULT_SOCKET_PATH, '/var/run/tailscale/tailscaled.sock']
  }
}

export interface SocketChoice {
  explicit?: string | undefined
  env?: Readonly<Record<string, string | undefined>>
  candidates?: readonly string[]
}

export async function resolveSocketPath(choice: SocketChoice = {}): Promise<string> {
  const named = choice.explicit || (choice.env ?? process.env).PINTAIL_SOCKET
  if (named) return named
  const candidates = choice.candidates ?? defaultSocketPaths()
  for (const path of candidates) if (await answers(path)) return path
  return candidates[0] ?? DEFAULT_SOCKET_PATH
}

/** Somebody listens there, whether or not we may talk to them. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const done = (yes: boolean) => {
      socket.destroy()
      resolve(yes)
    }
    socket.setTimeout(1000, () => done(false))
    socket.on('connect', () => done(true))
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code === 'EACCES'))
  })
}
