/**
 * wireguard-go's own test script, tests/netns.sh, with our program in its place. The script is not part of this
 * repository: `npm run peers` copies it from the Go module cache, or PINTAIL_WIREGUARD_NETNS_SH names it. Skipped by name
 * without it or the programs it calls. It says itself what it does; it ends with status 0 or at the first thing that is wrong.
 *
 * Three places are adapted while it is copied:
 * - The rate limit of kernel messages is not visible in a network namespace; a file takes its place.
 * - Replies from the address that was asked ("reply to sender"): not built, our sockets leave the source to the routes.
 * - The search of the kernel's log for objects of the kernel module, which does not run here.
 */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { peersFolder } from './daemon.ts'
import { execute } from './host.ts'
import { coverUapiFolder, pintailWireGuard } from './plain-wireguard.ts'

const scriptPath = process.env.PINTAIL_WIREGUARD_NETNS_SH ?? join(peersFolder, 'wireguard-netns.sh')
const hasPrograms =
  (await execute('bash', ['-c', 'type -P wg iperf3 ncat iptables ping6 ss && [[ $EUID -eq 0 ]]'])).code === 0

function adapt(script: string, scratch: string): string {
  const messageCost = join(scratch, 'message-cost')
  writeFileSync(messageCost, '5')
  const replyToSender =
    /^# Now we show that we can successfully do reply to sender routing\n[\s\S]*?(?=^ip1 link del veth1$)/m
  const kernelLog = /^declare -A objects\n[\s\S]*$/m
  for (const part of ['/proc/sys/net/core/message_cost', replyToSender, kernelLog]) {
    expect(script, String(part)).toMatch(part)
  }
  return script
    .replaceAll('/proc/sys/net/core/message_cost', messageCost)
    .replace(replyToSender, '')
    .replace(kernelLog, 'echo "the script came to its end"\n')
}

test.skipIf(!existsSync(scriptPath) || !hasPrograms)(
  '[UAPI-5.5] wireguard-go’s netns.sh: ping, TCP and UDP at two MTUs over both families, roaming, allowed sources, NAT with keepalive, addresses that change, 130 560 prefixes on one peer',
  { timeout: 600_000 },
  async () => {
    await coverUapiFolder()
    const scratch = mkdtempSync(join(process.env.PINTAIL_LAB_SCRATCH!, 'netns-'))
    const path = join(scratch, 'netns.sh')
    writeFileSync(path, adapt(readFileSync(scriptPath, 'utf8'), scratch))
    const run = await execute('bash', [path, process.env.PINTAIL_WIREGUARD_PROGRAM ?? pintailWireGuard], {
      timeoutMs: 280_000,
    })
    expect(run.stdout.slice(-3000) + run.stderr.slice(-3000)).toContain('the script came to its end')
    expect(run.code).toBe(0)
  },
)
