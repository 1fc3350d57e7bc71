/**
 * F14: the daemon is killed again and again, at any moment of its start and its work, with names, firewall and routes in
 * place. The next start works and reaches others at once; `--cleanup` leaves the machine byte by byte as it was found.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checksOn } from '../checks.ts'
import { ControlServer } from '../control-server.ts'
import { Daemon } from '../daemon.ts'
import { eventually } from '../eventually.ts'
import { differences, hostNetwork } from '../host-network.ts'
import { Internet } from '../internet.ts'
import { machineView } from '../machine-view.ts'
import type { Sheet } from '../measure-line.ts'

const FIRST_PING_SECONDS = 3
const script = fileURLToPath(new URL('../../bin/pintaild.mjs', import.meta.url))

export interface KilledOptions {
  readonly folder: string
  readonly kills: number
  readonly progress: (text: string) => void
}

export async function killed(sheet: Sheet, { folder, kills, progress }: KilledOptions): Promise<void> {
  const checks = checksOn(sheet, `${kills} kills`)
  const internet = await Internet.create()
  const control = await ControlServer.start(await internet.publicHost('control', ['203.0.113.10']), {
    folder: join(folder, 'c'),
  })
  const key = await control.createKey()
  const machine = await machineView((await internet.publicHost('killed')).host)
  await machine.writeEtc('resolv.conf', '# by hand\nnameserver 203.0.113.53\n')
  const before = await hostNetwork(machine)
  const daemon = await Daemon.start(machine.host, { kind: 'ours', folder: join(folder, 'd') })
  const peer = await Daemon.start((await internet.publicHost('peer')).host, { kind: 'ours', folder: join(folder, 'p') })
  try {
    await daemon.join(control.url, key, { Hostname: 'killed', CorpDNS: true, NetfilterMode: 2 })
    await peer.join(control.url, key, { Hostname: 'peer' })
    const address = await peer.address()
    const firstPings: number[] = []
    let leftovers: string[] = []
    let isDirty = 0
    for (let turn = 0; turn < kills; turn++) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_500))
      await daemon.kill()
      if (turn % 2 === 1) {
        if (differences(before, await hostNetwork(machine)).length > 0) isDirty++
        await machine.run(process.execPath, [
          script,
          '--cleanup',
          `--statedir=${join(daemon.folder, 'state')}`,
          '--tun=pintail0',
        ])
        leftovers = [...new Set([...leftovers, ...differences(before, await hostNetwork(machine))])]
      }
      const started = performance.now()
      // every third is killed before it is ready
      if (turn % 3 === 2) void daemon.start().catch(() => {})
      else {
        await daemon.start()
        await eventually(
          'a ping',
          async () => ((await daemon.icmp(address, { waitSeconds: 1 })).length > 0 ? true : undefined),
          {
            withinMs: 30_000,
          },
        )
        firstPings.push(performance.now() - started)
      }
      if (turn % 10 === 9) progress(`${turn + 1} of ${kills}`)
    }
    checks.is('some kills left something to clean up', isDirty > 0, true)
    checks.is('after --cleanup differs from before', leftovers, [])
    firstPings.sort((a, b) => a - b)
    checks.seconds('from start to the first ping, the median', firstPings[firstPings.length >> 1], FIRST_PING_SECONDS)
    checks.seconds('from start to the first ping, the longest', firstPings.at(-1), FIRST_PING_SECONDS)
    await daemon.kill()
    await daemon.start()
    await daemon.stop()
    checks.is('after the next start and its end differs', differences(before, await hostNetwork(machine)), [])
  } finally {
    await Promise.all([daemon.stop(), peer.stop()])
    await control.stop()
    await internet.close()
  }
}
