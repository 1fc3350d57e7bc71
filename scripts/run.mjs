// `node scripts/run.mjs COMMAND …`: runs COMMAND on Node 24 with the installed tools first on the PATH; lab work runs in the sandbox.
import { basename, join } from 'node:path'
import { node24, ourEnvironment, root, runHere } from './process.mjs'
import { makeReady } from './ready.mjs'
import { sandboxed } from './sandbox.mjs'

const [tool, ...rest] = process.argv.slice(2)
if (tool === undefined) throw new Error('usage: run.mjs COMMAND [ARGUMENT …]')

const inLab = rest.some((word) => /lab|bench/.test(basename(word)) || /^(lab|bench)\//.test(word))
const onlyHelp = rest.includes('--help') || rest.includes('-h')
await makeReady(inLab ? ['lab', 'bench'] : [])

const command = tool === 'node' ? [node24, ...rest] : [node24, join(root, 'node_modules', '.bin', tool), ...rest]
const [program, ...args] = inLab && !onlyHelp ? sandboxed(command) : command
process.exitCode = await runHere(program, args, { env: ourEnvironment() })
