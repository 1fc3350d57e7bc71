/**
 * The embedded network as a process, run inside the sandbox by `npm start`. Says what happens as JSON lines on stdout:
 * `progress`, then `ready`, then `table` whenever a row changed. SIGINT or SIGTERM ends it in order; the sandbox takes
 * whatever is left when it is killed.
 */
import { DemoNetwork, discard } from './demo-network.ts'
import { Sheet } from './measure-line.ts'
import { pathText } from './path-text.ts'
import { demoCheck } from './scenarios/demo-check.ts'

export interface DemoRow {
  readonly name: string
  readonly address: string
  readonly online: boolean
  readonly path: string
}

const words = process.argv.slice(2)
const value = (flag: string) => words.find((word) => word.startsWith(`${flag}=`))?.slice(flag.length + 1)
const folder = value('--folder')
if (folder === undefined) throw new Error('usage: demo-main.ts --folder=FOLDER [--keep] [--check] [--here]')
const say = (line: Record<string, unknown>) => console.log(JSON.stringify(line))
const progress = (text: string) => say({ kind: 'progress', text })

if (words.includes('--check')) {
  const sheet = new Sheet({ json: true })
  try {
    await demoCheck({ folder, sheet, progress: (text) => console.error(`  … ${text}`) })
  } finally {
    discard(folder)
  }
  process.exit(sheet.ok ? 0 : 1)
}

let ending = false
let isOpen = false
const end = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      // Half a network is not worth closing in order: the sandbox ends with us and takes it along.
      if (!isOpen) {
        if (!words.includes('--keep')) discard(folder)
        process.exit(143)
      }
      ending = true
      resolve()
    })
})
const network = await DemoNetwork.open({ folder, progress, here: words.includes('--here') })
isOpen = true
const machines = [...network.machines.values()].map(({ name, address }) => ({ name, address }))
say({ kind: 'ready', socket: network.me.socketPath, address: await network.me.address(), key: network.key, machines })

/** A first packet to each machine, so that paths are found before somebody looks. */
void Promise.all(machines.map(({ address }) => network.me.ping(address).catch(() => undefined)))

let shown = ''
async function table(): Promise<void> {
  const { Peer } = await network.me.status()
  const rows: DemoRow[] = Object.values(Peer ?? {}).map((peer) => ({
    name: peer.HostName,
    address: peer.TailscaleIPs?.[0] ?? '',
    online: peer.Online,
    path: pathText(peer),
  }))
  rows.sort((a, b) => (a.name < b.name ? -1 : 1))
  const text = JSON.stringify(rows)
  if (text !== shown) say({ kind: 'table', rows })
  shown = text
}
while (!ending) {
  await table().catch((error: Error) =>
    say({ kind: 'progress', text: `this computer's daemon does not answer: ${error.message}` }),
  )
  await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 1_000))])
}
await network.close()
if (!words.includes('--keep')) discard(folder)
process.exit(0)
