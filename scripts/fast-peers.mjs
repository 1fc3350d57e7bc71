// Stock WireGuard programs whose protocol clock runs 30 times faster, so that a test sees an hour of rekeys in two minutes.
// Only the times in the constants of their WireGuard package differ. They are built in a scratch folder; nothing is kept but the
// programs. `lab/fast-wireguard.ts` does the same to our side, with the same factor.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './process.mjs'

const SPEED = 30
/** What the paper calls by these names; how long "under load" lasts and the like stay. */
const times = [
  'RekeyAfterTime',
  'RekeyAttemptTime',
  'RekeyTimeout',
  'RejectAfterTime',
  'KeepaliveTimeout',
  'CookieRefreshTime',
]

/** Builds one program with a fast WireGuard package into `folder`. `device` is the module that holds the package. */
export async function buildFastPeer({ name, module, device }, folder, onLine) {
  const [path, query] = module.split('@')
  const download = async (wanted) => JSON.parse(await run('go', ['mod', 'download', '-json', wanted], { onLine }))
  const main = await downloadMain(path, query, download)
  const { Require: needs } = JSON.parse(await run('go', ['mod', 'edit', '-json', main.GoMod]))
  const wireguard =
    device === main.Path ? main : await download(`${device}@${needs.find(({ Path }) => Path === device).Version}`)

  const scratch = mkdtempSync(join(tmpdir(), 'pintail-fast-'))
  try {
    const copy = join(scratch, 'wireguard')
    cpSync(wireguard.Dir, copy, { recursive: true })
    await run('chmod', ['-R', 'u+w', copy])
    const constants = join(copy, 'device', 'constants.go')
    writeFileSync(constants, quicken(readFileSync(constants, 'utf8')))
    cpSync(join(main.Dir, 'go.sum'), join(scratch, 'go.sum'))
    await run('chmod', ['u+w', join(scratch, 'go.sum')])
    const lines = ['module fast', 'go 1.26', `require ${main.Path} ${main.Version}`, `replace ${device} => ./wireguard`]
    writeFileSync(join(scratch, 'go.mod'), `${lines.join('\n')}\n`)
    mkdirSync(folder, { recursive: true })
    await run('go', ['build', '-mod=mod', '-o', join(folder, name), path], {
      cwd: scratch,
      env: { ...process.env, CGO_ENABLED: '0' },
      onLine,
    })
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** The module a program is in: its own path or one above. */
async function downloadMain(path, query, download) {
  let problem
  for (let module = path; module.includes('.'); module = module.slice(0, Math.max(0, module.lastIndexOf('/')))) {
    try {
      return await download(`${module}@${query}`)
    } catch (error) {
      problem ??= error
    }
  }
  throw problem
}

function quicken(source) {
  return times.reduce(
    (text, name) => {
      const line = new RegExp(`^(\\s*${name}\\s*= time\\.Second \\* \\d+)$`, 'm')
      if (!line.test(text)) throw new Error(`the constants of WireGuard have changed: no ${name}`)
      return text.replace(line, `$1 / ${SPEED}`)
    },
    source.replace(/^(\s*RekeyTimeoutJitterMaxMs\s*= \d+)$/m, `$1 / ${SPEED}`),
  )
}
