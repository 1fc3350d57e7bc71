/** Whether anything on this desktop shows tray icons: on Linux, whether somebody owns the StatusNotifierWatcher name. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const runFile = promisify(execFile)

export async function hasTrayHost(): Promise<boolean> {
  if (process.platform !== 'linux') return true
  if (!process.env.DBUS_SESSION_BUS_ADDRESS && !process.env.XDG_RUNTIME_DIR) return false
  try {
    const { stdout } = await runFile(
      'dbus-send',
      [
        '--session',
        '--print-reply=literal',
        '--reply-timeout=2000',
        '--dest=org.freedesktop.DBus',
        '/org/freedesktop/DBus',
        'org.freedesktop.DBus.NameHasOwner',
        'string:org.kde.StatusNotifierWatcher',
      ],
      { timeout: 3000 },
    )
    return stdout.includes('true')
  } catch {
    return false // no bus or no dbus-send: nobody can show an icon then
  }
}
