// `npm run peers`: installs the stock programs that interoperability tests and benches run beside ours.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { buildFastPeer } from './fast-peers.mjs'
import { hasCommand, root, run } from './process.mjs'
import { note, step } from './say.mjs'
import { copyWireGuardScript, scriptName } from './wireguard-script.mjs'

export const stockVersion = 'v1.102.5'
const programs = [
  { name: 'tailscale', module: `tailscale.com/cmd/tailscale@${stockVersion}` },
  { name: 'tailscaled', module: `tailscale.com/cmd/tailscaled@${stockVersion}` },
  { name: 'derper', module: `tailscale.com/cmd/derper@${stockVersion}` },
  { name: 'wireguard', module: 'golang.zx2c4.com/wireguard@latest' },
]

/** Those whose WireGuard clock is also needed fast, and the module that holds their WireGuard. */
const fastPrograms = [
  { ...programs[3], device: 'golang.zx2c4.com/wireguard' },
  { ...programs[1], device: 'github.com/tailscale/wireguard-go' },
]

/** Where the stock programs are: the folder the user names, else where `npm run peers` puts them. */
export const peersFolder = process.env.PINTAIL_PEERS ?? join(root, '.cache', 'peers')

if (import.meta.filename === process.argv[1] || process.argv[1]?.endsWith('peers.mjs')) {
  const missing = programs.filter(({ name }) => !existsSync(join(peersFolder, name)))
  const fastFolder = join(peersFolder, 'fast')
  const missingFast = fastPrograms.filter(({ name }) => !existsSync(join(fastFolder, name)))
  if (missing.length + missingFast.length === 0) note(`all stock programs are in ${peersFolder}`)
  else if (!hasCommand('go')) {
    note(
      'Go (1.26.6 or newer) is needed to install the stock programs; without them interoperability tests are skipped by name',
    )
    process.exitCode = 1
  } else {
    mkdirSync(peersFolder, { recursive: true })
    for (const { name, module } of missing)
      await step(`go install ${module}`, (progress) =>
        run('go', ['install', module], {
          env: { ...process.env, GOBIN: peersFolder, CGO_ENABLED: '0' },
          onLine: progress,
        }).then(() => name),
      )
    for (const program of missingFast)
      await step(`go build ${program.module} with a fast WireGuard clock`, (progress) =>
        buildFastPeer(program, fastFolder, progress),
      )
  }
  if (hasCommand('go') && !existsSync(join(peersFolder, scriptName)))
    await step('copy the test script of wireguard-go', () => copyWireGuardScript(programs[3].module, peersFolder))
}
