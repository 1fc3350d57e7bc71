// `node assets/make-icons.mjs`: SVG → PNG for the app icon and the tray, drawn by Electron itself.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { electronPath } from '../scripts/electron.mjs'
import { hasCommand, run } from '../scripts/process.mjs'

const folder = join(dirname(fileURLToPath(import.meta.url)), 'icon-maker')
const command = [await electronPath(), folder, ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])]
const needsDisplay = process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY
const [program, ...args] = needsDisplay && hasCommand('xvfb-run') ? ['xvfb-run', '-a', ...command] : command
await run(program, args)
