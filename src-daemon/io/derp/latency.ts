/** How far a relay is over TLS, where UDP does not come back: one request on an open connection.         [netcheck.md §2.5] */
import { isIPv6 } from 'node:net'
import type { DerpNode } from '../../../src-contract/control/map.ts'
import type { Ms } from '../../../src-contract/ids.ts'
import { type DialOptions, openTls, readHead } from './dial.ts'

export async function httpsLatencyMs(node: DerpNode, options: DialOptions): Promise<{ latencyMs: Ms; family: 4 | 6 }> {
  const socket = await openTls(node, options)
  try {
    const family = isIPv6(socket.remoteAddress ?? '') ? 6 : 4
    const started = performance.now()
    socket.write(
      `GET /derp/latency-check HTTP/1.1\r\nHost: ${node.HostName}\r\nUser-Agent: pintail\r\nConnection: close\r\n\r\n`,
    )
    const { status } = await readHead(socket, options.signal)
    if (status > 299 || status < 200) throw new Error(`relay ${node.HostName} answered ${status}`)
    return { latencyMs: performance.now() - started, family }
  } finally {
    socket.on('error', () => {}) // we are done with it
    socket.destroy()
  }
}
