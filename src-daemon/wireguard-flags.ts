/** The command line of the plain WireGuard device: that of wireguard-go, so that `wg-quick` can start it. */
import { Command, InvalidArgumentError } from 'commander'
import type { LogLevel } from './io/log/log.ts'

export interface WireGuardFlags {
  readonly interfaceName: string
  /** Stay in the shell's foreground instead of going on in the background. */
  readonly isForeground: boolean
  /** Undefined: say nothing. */
  readonly logLevel: LogLevel | undefined
}

export function parseWireGuardFlags(
  argv: readonly string[],
  environment: { readonly [name: string]: string | undefined },
  version: string,
): WireGuardFlags {
  const command = new Command('pintail-wireguard')
    .description(
      'A plain WireGuard device: makes the interface and serves /var/run/wireguard/INTERFACE-NAME.sock, so that wg and\n' +
        'wg-quick configure it. Goes on in the background; ends when the interface or the socket is deleted.',
    )
    .version(version, '--version', 'print the version and exit')
    .option('-f, --foreground', 'stay in the foreground', false)
    .argument('<interface-name>', 'interface to make', parseInterfaceName)
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
Environment:
  WG_PROCESS_FOREGROUND=1    as --foreground
  LOG_LEVEL=verbose|error|silent    what to write to standard error (in the background: nothing, unless set)
  PINTAIL_DATAPATH=native|twin    which packet path, for comparing (default: native where it can be had)
  PINTAIL_AEAD=ipsec-mb|openssl   which cipher library the native one uses

Examples:
  pintail-wireguard wg0 && wg setconf wg0 /etc/wireguard/wg0.conf && ip link set wg0 up
  WG_QUICK_USERSPACE_IMPLEMENTATION=pintail-wireguard wg-quick up wg0
  pintail-wireguard --foreground wg0
  ip link delete wg0         # ends it
`,
    )
    .parse([...argv], { from: 'user' })
  const isForeground = command.opts<{ foreground: boolean }>().foreground || environment.WG_PROCESS_FOREGROUND === '1'
  return {
    interfaceName: command.processedArgs[0] as string,
    isForeground,
    logLevel: logLevelOf(environment.LOG_LEVEL),
  }
}

function logLevelOf(text: string | undefined): LogLevel | undefined {
  if (text === 'silent') return undefined
  return text === 'verbose' || text === 'debug' ? 'debug' : 'error'
}

/** It becomes the name of a file and of an interface. */
function parseInterfaceName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_=+.-]{0,14}$/.test(text)) return text
  throw new InvalidArgumentError('It must be the name of an interface: up to 15 letters, digits or "_=+.-".')
}
