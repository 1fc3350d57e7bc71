/** Starts the built app in real Electron for a test: own settings folder, given socket, and a list of what the page complained about. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ElectronApplication, _electron as electron, type Page } from '@playwright/test'
import type { Bridge } from '../src-contract/bridge.ts'

declare global {
  interface Window {
    readonly pintail: Bridge
  }
}

export interface LaunchOptions {
  socketPath: string
  settings?: Record<string, unknown>
  args?: string[]
  /** Keep using this folder: the second start of a test. */
  userDataDir?: string
  env?: Record<string, string>
}

export interface RunningApp {
  readonly app: ElectronApplication
  readonly page: Page
  readonly userDataDir: string
  /** Console errors and uncaught exceptions of the page. */
  readonly complaints: string[]
  close(): Promise<void>
}

export const projectRoot = join(import.meta.dirname, '..')

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'pintail-e2e-'))
}

export function launchArguments(options: LaunchOptions, userDataDir: string): string[] {
  return [
    projectRoot,
    `--socket=${options.socketPath}`,
    `--user-data-dir=${userDataDir}`,
    ...(options.args?.some((word) => word.startsWith('--lang=')) ? [] : ['--lang=en']),
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ...(options.args ?? []),
  ]
}

export function electronExecutable(): string {
  const path = process.env.PINTAIL_ELECTRON
  if (path === undefined) throw new Error('PINTAIL_ELECTRON is not set: start these tests with `node scripts/e2e.mjs`')
  return path
}

export async function launch(options: LaunchOptions): Promise<ElectronApplication & { userDataDir: string }> {
  const userDataDir = options.userDataDir ?? temporaryFolder()
  if (options.settings !== undefined)
    writeFileSync(join(userDataDir, 'settings.json'), JSON.stringify(options.settings))
  const app = await electron.launch({
    executablePath: electronExecutable(),
    colorScheme: null, // the app's own theme decides
    args: launchArguments(options, userDataDir),
    env: { ...(process.env as Record<string, string>), ...options.env },
  })
  return Object.assign(app, { userDataDir })
}

export async function openApp(options: LaunchOptions): Promise<RunningApp> {
  const complaints: string[] = []
  const app = await launch(options)
  const page = await app.firstWindow()
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  return {
    app,
    page,
    userDataDir: app.userDataDir,
    complaints,
    close: async () => {
      await app.close()
      if (options.userDataDir === undefined) rmSync(app.userDataDir, { recursive: true, force: true })
    },
  }
}
