/** The daemon's command line. Those of a stock daemon that service files use are understood too. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { DEFAULT_SOCKET_PATH } from '../src-contract/localapi/socket-path.ts'
import { type LogLevel, logLevels } from './io/log/log.ts'
import type { ListenAddress } from './io/proxies/proxy-listener.ts'

export interface DaemonFlags {
  readonly socketPath: string
  readonly stateFolder: string
  /** undefined = no interface. */
  readonly tunName: string | undefined
  /** 0 = any. */
  readonly udpPort: number
  /** Serve `wg show`. */
  readonly uapi: boolean
  /** Proxies into the network; the same address may serve both. */
  readonly socksServer: ListenAddress | undefined
  readonly httpProxy: ListenAddress | undefined
  /** Who does what only root may, when we are not. */
  readonly rootHelperPath: string
  /** Where received files go at once; undefined = they wait for `pintail file get`. */
  readonly taildropFolder: string | undefined
  readonly logLevel: LogLevel
  /** Take back what a killed daemon left, and end. */
  readonly cleanup: boolean
}

export const ROOT_HELPER_SOCKET = '/run/pintail-root/helper.sock'
const NO_TUN = 'userspace-networking'

export function parseFlags(argv: readonly string[], version: string): DaemonFlags {
  const command = new Command('pintaild')
    .description('Mesh network daemon: keeps this machine in its network. Not affiliated with Tailscale.')
    .version(version, '--version', 'print the version and exit')
    .option('--socket <path>', 'LocalAPI socket', DEFAULT_SOCKET_PATH)
    .option('--statedir <folder>', 'folder of the state', '/var/lib/pintail')
    .option('--tun <name>', `network interface, or "${NO_TUN}" for none`, parseTunName, 'pintail0')
    .option('--port <number>', 'UDP port for direct connections, 0 = any', parsePort, 41641)
    .option('--uapi', 'let root look at the tunnel with wg show: serves /var/run/wireguard/<tun>.sock', false)
    .option('--socks5-server <[host]:port>', 'SOCKS5 proxy into the network; without a host: 127.0.0.1', parseListen)
    .option('--outbound-http-proxy-listen <[host]:port>', 'HTTP proxy into the network; may be the same', parseListen)
    .option(
      '--taildrop-dir <folder>',
      'put received files there at once, instead of keeping them for "pintail file get"',
    )
    .option('--cleanup', 'take back what a killed daemon left in routes, firewall and name servers, and exit', false)
    .option('--root-helper <path>', 'socket of the root helper; only used when not root', ROOT_HELPER_SOCKET)
    .addOption(new Option('--log-level <level>', 'least severe log lines to write').choices(logLevels).default('info'))
    .addOption(new Option('--verbose <n>', 'ignored, for service files of stock daemons').hideHelp())
    .addOption(new Option('--no-logs-no-support', 'ignored: nothing is ever uploaded').hideHelp())
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      '\nExamples:\n  pintaild --statedir=/var/lib/pintail --socket=/run/pintail/pintaild.sock --tun=pintail0 --port=41641\n' +
        '  pintaild --uapi            # then: wg show pintail0\n' +
        '  pintaild --tun=userspace-networking --socks5-server=localhost:1055 --outbound-http-proxy-listen=localhost:1055\n' +
        '  pintaild --cleanup         # as ExecStopPost= of a service\n',
    )
    .parse([...argv], { from: 'user' })
  const options = command.opts<{
    socket: string
    statedir: string
    tun: string
    port: number
    uapi: boolean
    socks5Server?: ListenAddress
    outboundHttpProxyListen?: ListenAddress
    taildropDir?: string
    rootHelper: string
    logLevel: LogLevel
    cleanup: boolean
  }>()
  return {
    socketPath: options.socket,
    stateFolder: options.statedir,
    tunName: options.tun === NO_TUN ? undefined : options.tun,
    udpPort: options.port,
    uapi: options.uapi,
    socksServer: options.socks5Server,
    httpProxy: options.outboundHttpProxyListen,
    taildropFolder: options.taildropDir,
    rootHelperPath: options.rootHelper,
    logLevel: options.logLevel,
    cleanup: options.cleanup,
  }
}

function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65535) throw new InvalidArgumentError('It must be a number from 0 to 65535.')
  return port
}

/** It becomes a word for `ip` and a name in the kernel. */
function parseTunName(text: string): string {
  if (text === NO_TUN || /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(text)) return text
  throw new InvalidArgumentError('It must be the name of an interface: up to 15 letters, digits, "-", "_" or ".".')
}

/** A port by itself is for this host only. */
function parseListen(text: string): ListenAddress {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]*):(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port > 65535) throw new InvalidArgumentError('It must be like localhost:1055 or :1055.')
  return { host: match[1]?.replace(/^\[|\]$/g, '') || '127.0.0.1', port }
}
