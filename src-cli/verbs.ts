/** The table of all verbs, in the order in which help shows them. */
import { bypass } from './commands/bypass.ts'
import { cert } from './commands/cert.ts'
import { changes } from './commands/changes.ts'
import { dns } from './commands/dns.ts'
import { down, logout } from './commands/down.ts'
import { exitNode } from './commands/exit-node.ts'
import { file } from './commands/file.ts'
import { get } from './commands/get.ts'
import { ip } from './commands/ip.ts'
import { login } from './commands/login.ts'
import { netcheck } from './commands/netcheck.ts'
import { ping } from './commands/ping.ts'
import { route } from './commands/route.ts'
import { serve } from './commands/serve.ts'
import { set } from './commands/set.ts'
import { status } from './commands/status.ts'
import { switchVerb } from './commands/switch.ts'
import { trust } from './commands/trust.ts'
import { up } from './commands/up.ts'
import { version } from './commands/version.ts'
import { wait } from './commands/wait.ts'
import { whoami, whois } from './commands/whois.ts'
import { debug } from './debug/debug.ts'
import type { Verb } from './verb.ts'

export const pintail: Verb = {
  name: 'pintail',
  summary: 'Connect machines over a network of their own.',
  details: 'For help on a command: "pintail status --help".',
  examples: ['pintail up --login-server=https://control.example.com', 'pintail status', 'pintail ping nas'],
  flags: [{ name: 'socket', kind: 'text', help: "the daemon's socket (also: PINTAIL_SOCKET)" }],
  verbs: [
    up,
    down,
    set,
    get,
    login,
    logout,
    switchVerb,
    netcheck,
    ip,
    status,
    ping,
    version,
    exitNode,
    bypass,
    route,
    serve,
    cert,
    trust,
    changes,
    file,
    dns,
    whois,
    whoami,
    wait,
    debug,
  ],
}
