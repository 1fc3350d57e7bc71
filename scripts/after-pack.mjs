// electron-builder's hook: a development copy of Electron carries a loader for project folders; a package has its own asar.
import { rmSync } from 'node:fs'
import { join } from 'node:path'

export default async function afterPack({ appOutDir, electronPlatformName }) {
  if (electronPlatformName === 'linux') rmSync(join(appOutDir, 'resources', 'app'), { recursive: true, force: true })
}
