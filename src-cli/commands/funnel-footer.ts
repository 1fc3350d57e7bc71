/** What of this machine the whole internet can reach, told under `pintail status`. Pure. */
interface FunnelPart {
  AllowFunnel?: Record<string, boolean>
  TCP?: Record<string, { TCPForward?: string } | null>
  Foreground?: Record<string, FunnelPart | null>
}

export function funnelFooter(config: Record<string, unknown> | null): string {
  const parts = partsOf(config as FunnelPart | null)
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

function partsOf(config: FunnelPart | null): FunnelPart[] {
  if (config === null) return []
  return [config, ...Object.values(config.Foreground ?? {}).filter((part) => part !== null)]
}

function urlOf(hostPort: string, part: FunnelPart): string {
  const colon = hostPort.lastIndexOf(':')
  const port = hostPort.slice(colon + 1)
  if (part.TCP?.[port]?.TCPForward) return `tcp://${hostPort}`
  return port === '443' ? `https://${hostPort.slice(0, colon)}` : `https://${hostPort}`
}
