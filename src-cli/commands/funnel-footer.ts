/** What of this machine the whole internet can reach, told under `pintail status`. Pure. */
import type { ServeConfig } from '../../src-contract/localapi/serve.ts'

export function funnelFooter(config: ServeConfig | null): string {
  const parts = partsOf(config)
  const open = new Set(
    parts.flatMap((part) =>
      Object.entries(part.AllowFunnel ?? {})
        .filter(([, on]) => on)
        .map(([hostPort]) => urlOf(hostPort, part)),
    ),
  )
  if (open.size === 0) return ''
  return `\n# Funnel on:\n${[...open]
    .sort()
    .map((url) => `#     - ${url}\n`)
    .join('')}\n`
}

function partsOf(config: ServeConfig | null): ServeConfig[] {
  if (config === null) return []
  return [config, ...Object.values(config.Foreground ?? {}).filter((part) => part !== null)]
}

function urlOf(hostPort: string, part: ServeConfig): string {
  const colon = hostPort.lastIndexOf(':')
  const port = hostPort.slice(colon + 1)
  if (part.TCP?.[port]?.TCPForward) return `tcp://${hostPort}`
  return port === '443' ? `https://${hostPort.slice(0, colon)}` : `https://${hostPort}`
}
