/**
 * Counts the WireGuard handshake messages that cross a host's `eth0`, whoever sent them: by type and size, in its packet
 * filter. A message that went out in one offloaded packet with data is not seen; it is rare, and its answer is.
 */
import type { Host } from './host.ts'

const names = ['initiationsOut', 'responsesOut', 'initiationsIn', 'responsesIn'] as const
export type HandshakeCounts = { [name in (typeof names)[number]]: number }

/** The four bytes in front of each message, and the length of its UDP datagram. */
const initiation = '@th,64,32 0x01000000 udp length 156'
const response = '@th,64,32 0x02000000 udp length 100'

/** Replaces the host's rules. */
export async function startCountingHandshakes(host: Host): Promise<void> {
  await host.rules(`
table inet handshakes {
  ${names.map((name) => `counter ${name} { }`).join('\n  ')}
  chain out {
    type filter hook output priority filter;
    oifname "eth0" meta l4proto 17 ${initiation} counter name initiationsOut
    oifname "eth0" meta l4proto 17 ${response} counter name responsesOut
  }
  chain in {
    type filter hook input priority filter;
    iifname "eth0" meta l4proto 17 ${initiation} counter name initiationsIn
    iifname "eth0" meta l4proto 17 ${response} counter name responsesIn
  }
}`)
}

export async function countHandshakes(host: Host): Promise<HandshakeCounts> {
  const { nftables } = JSON.parse(await host.must('nft', ['-j', 'list', 'counters'])) as {
    nftables: { counter?: { name: string; packets: number } }[]
  }
  const packets = (name: string) => nftables.find(({ counter }) => counter?.name === name)?.counter?.packets ?? 0
  return {
    initiationsOut: packets('initiationsOut'),
    responsesOut: packets('responsesOut'),
    initiationsIn: packets('initiationsIn'),
    responsesIn: packets('responsesIn'),
  }
}
