/** Test fixtures: a folder, a fake daemon in it, and the app on top; all gone afterwards. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test as base } from '@playwright/test'
import { type LaunchOptions, openApp, type RunningApp, temporaryFolder } from '../app.ts'
import type { FakeDaemon, FakeOptions } from './fake-daemon.ts'
import { householdDaemon } from './fake-network.ts'

export interface World {
  readonly folder: string
  readonly socketPath: string
  /** A running daemon in the household's network. */
  daemon(options?: FakeOptions): Promise<FakeDaemon>
  app(options?: Partial<LaunchOptions>): Promise<RunningApp>
}

export const test = base.extend<{ world: World }>({
  // biome-ignore lint/correctness/noEmptyPattern: the runner insists on a pattern
  world: async ({}, use, info) => {
    const folder = temporaryFolder()
    const socketPath = join(folder, 'pintaild.sock')
    const daemons: FakeDaemon[] = []
    const apps: RunningApp[] = []
    await use({
      folder,
      socketPath,
      daemon: async (options) => {
        const daemon = householdDaemon(socketPath, options)
        daemons.push(daemon)
        await daemon.start()
        return daemon
      },
      app: async (options) => {
        const app = await openApp({ socketPath, ...options })
        apps.push(app)
        return app
      },
    })
    if (info.status !== info.expectedStatus)
      for (const [at, { page }] of apps.entries())
        await page.screenshot({ path: info.outputPath(`app-${at}.png`) }).catch(() => undefined) // it may be closed
    for (const app of apps) await app.close()
    for (const daemon of daemons) await daemon.stop()
    rmSync(folder, { recursive: true, force: true })
  },
})

export { expect } from '@playwright/test'
