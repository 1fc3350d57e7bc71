// wireguard-go's own test script, for `lab/wireguard-script.lab.test.ts`. It is not ours to keep in the repository: it is
// copied from the Go module cache, where `go install` of the same module has put it. Plain Node 20, no dependencies.
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './process.mjs'

export const scriptName = 'wireguard-netns.sh'

export async function copyWireGuardScript(module, folder) {
  const answer = JSON.parse(await run('go', ['mod', 'download', '-json', module]))
  mkdirSync(folder, { recursive: true })
  copyFileSync(join(answer.Dir, 'tests', 'netns.sh'), join(folder, scriptName))
}
