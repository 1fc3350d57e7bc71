/**
 * The SSH session that this command is typed in, if it is. Behind `sudo`, which keeps the variable to itself, the shells
 * above are asked (as root they may be). A terminal multiplexer that was started elsewhere hides it.
 */
import { canonicalIp } from '../text/address.ts'
import type { Terminal } from '../verb.ts'

const MAX_PARENTS = 16

export interface SshSession {
  readonly client: { readonly ip: string; readonly port: number }
  readonly server: { readonly ip: string; readonly port: number }
}

export async function findSshSession(
  terminal: Pick<Terminal, 'env' | 'platform' | 'readFile'>,
): Promise<SshSession | undefined> {
  const { SSH_CONNECTION, SSH_CLIENT } = terminal.env
  if (SSH_CONNECTION !== undefined) return parseSshConnection(SSH_CONNECTION)
  if (SSH_CLIENT !== undefined) return parseSshClient(SSH_CLIENT)
  if (terminal.platform !== 'linux') return undefined
  try {
    return await findAbove(terminal)
  } catch {
    return undefined // no /proc: nothing to know from
  }
}

async function findAbove({ readFile }: Pick<Terminal, 'readFile'>): Promise<SshSession | undefined> {
  let pid = 'self'
  for (let i = 0; i < MAX_PARENTS; i++) {
    // the program's name stands in parentheses and may hold anything; state and parent follow the last one
    const stat = await readFile(`/proc/${pid}/stat`)
    const parent = /^ \S (\d+) /.exec(stat.slice(stat.lastIndexOf(')') + 1))?.[1]
    if (parent === undefined || Number(parent) <= 1) return undefined
    pid = parent
    const environment = await readFile(`/proc/${pid}/environ`).catch(() => '') // somebody else's; the next may be ours
    const found = environment.split('\0').find((entry) => entry.startsWith('SSH_CONNECTION='))
    if (found !== undefined) return parseSshConnection(found.slice('SSH_CONNECTION='.length))
  }
  return undefined
}

/** `100.64.0.7 51514 100.64.0.1 22`. */
export function parseSshConnection(text: string): SshSession | undefined {
  const [clientIp = '', clientPort = '', serverIp = '', serverPort = ''] = text.split(' ')
  const client = parseEnd(clientIp, clientPort)
  const server = parseEnd(serverIp, serverPort)
  return client === undefined || server === undefined ? undefined : { client, server }
}

/** `100.64.0.7 51514 22`: from older servers, without our own address. */
function parseSshClient(text: string): SshSession | undefined {
  const [clientIp = '', clientPort = '', serverPort = ''] = text.split(' ')
  return parseSshConnection(`${clientIp} ${clientPort} ${clientIp.includes(':') ? '::' : '0.0.0.0'} ${serverPort}`)
}

function parseEnd(ipText: string, portText: string): SshSession['client'] | undefined {
  const ip = canonicalIp(ipText)
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0
  return ip === undefined || port === 0 || port > 65_535 ? undefined : { ip, port }
}

export function endText({ ip, port }: SshSession['client']): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}
