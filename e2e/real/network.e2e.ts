/**
 * The app on the embedded network: real daemons, server, relay and routers in namespaces; nothing is played. Runs where
 * the laboratory's sandbox works. U2 and U8, by mouse, asserting on packets as well as on the picture.
 */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as base, expect, type Locator, type Page } from '@playwright/test'
import { stockProgram } from '../../lab/daemon.ts'
import { DemoNetwork, type DemoNetworkOptions, discard } from '../../lab/demo-network.ts'
import { type LaunchOptions, openApp, projectRoot, type RunningApp } from '../app.ts'
import { AppWindow } from '../pages/window.ts'
import { menuText, TrayHost } from '../tray-watcher.ts'

interface RealWorld {
  network(options?: Partial<DemoNetworkOptions>): Promise<DemoNetwork>
  app(network: DemoNetwork, options?: Partial<LaunchOptions>): Promise<RunningApp>
}

const test = base.extend<{ world: RealWorld }>({
  // biome-ignore lint/correctness/noEmptyPattern: the runner insists on a pattern
  world: async ({}, use, info) => {
    const networks: { network: DemoNetwork; folder: string }[] = []
    const apps: RunningApp[] = []
    await use({
      network: async (options) => {
        const folder = mkdtempSync(join(tmpdir(), 'pt-e2e-'))
        const network = await DemoNetwork.open({ folder, ...options })
        networks.push({ network, folder })
        return network
      },
      app: async (network, options) => {
        const app = await openApp({ socketPath: network.me.socketPath, ...options })
        apps.push(app)
        return app
      },
    })
    if (info.status !== info.expectedStatus)
      for (const { page } of apps) await page.screenshot({ path: info.outputPath('app.png') }).catch(() => undefined)
    for (const app of apps) await app.close()
    for (const { network, folder } of networks) {
      if (info.status !== info.expectedStatus) await info.attach('daemon.log', { body: network.me.log })
      await network.close()
      discard(folder)
    }
  },
})

test.skip(process.env.PINTAIL_SANDBOX !== '1', 'the laboratory does not work on this machine')
test.setTimeout(150_000)

const pictures = join(projectRoot, process.env.PINTAIL_PICTURES ? 'docs/images' : 'test-results/pictures')

async function joinByKey(page: Page, server: string, key: string): Promise<void> {
  await expect(page.getByRole('heading', { name: 'Join your network' })).toBeVisible({ timeout: 15_000 })
  await page.getByRole('textbox', { name: 'Server' }).fill(server)
  await page.getByLabel('Auth key', { exact: true }).fill(key)
  await page.getByRole('button', { name: 'Join with key' }).click()
}

/** Pings from the details until the row says what is expected. */
async function pingUntil(window: AppWindow, name: string, path: RegExp): Promise<void> {
  await window.device(name).click()
  const details = window.details(name)
  const chip: Locator = window.device(name).locator('.path-chip')
  await expect(async () => {
    await details.getByRole('button', { name: /Ping/ }).click({ timeout: 9000 })
    await expect(details.locator('.ping-last')).toContainText(/ms|No answer/, { timeout: 9000 })
    await expect(chip).toContainText(path, { timeout: 3000 })
  }).toPass({ timeout: 40_000 })
}

async function packetsCome(network: DemoNetwork): Promise<boolean> {
  return (await network.me.icmp(network.machine('vps').address, { count: 2, waitSeconds: 1 })).length > 0
}

test('U2, U8: join with a key, see paths, switch off and on, tray, daemon killed and back', async ({ world }) => {
  const tray = await TrayHost.open()
  const network = await world.network({ leaveMeSignedOut: true })
  const { page, complaints } = await world.app(network, { settings: { theme: 'light' } })
  const window = new AppWindow(page)

  await joinByKey(page, network.control.url, network.key)
  await expect(window.stateWord).toHaveText('On', { timeout: 20_000 })
  for (const name of ['vps', 'nas', 'office', 'phone']) await expect(window.device(name)).toBeVisible()
  await expect(window.device('vps')).toContainText(network.machine('vps').address)
  await expect(page.locator('.own-address')).toContainText(await network.me.address())

  await pingUntil(window, 'vps', /Direct.*ms/)
  await pingUntil(window, 'nas', /Direct.*ms/)
  await pingUntil(window, 'phone', /Relay lab.*ms/)
  mkdirSync(pictures, { recursive: true })
  await page.screenshot({ path: join(pictures, 'network-light.png') })
  await window.go('Settings')
  await page.getByText('Dark', { exact: true }).click()
  await window.go('Devices')
  await page.waitForTimeout(300)
  await page.screenshot({ path: join(pictures, 'network-dark.png') })

  const menu = menuText(await tray.menu())
  expect(menu).toContain('Turn off')
  expect(menu).toContain(`This device: ${await network.me.address()}`)
  expect(menu).toContain(`    Copy ${network.machine('nas').address}`)

  expect(await packetsCome(network)).toBe(true)
  await window.pressToggle()
  await expect(window.stateWord).toHaveText('Off')
  await expect(page.locator('.device-grid.greyed')).toBeVisible()
  await expect.poll(() => packetsCome(network)).toBe(false)
  await expect.poll(async () => menuText(await tray.menu())).toContain('Turn on')
  await tray.click(await tray.find('Turn on'))
  await expect(window.stateWord).toHaveText('On', { timeout: 15_000 })
  await expect.poll(() => packetsCome(network), { timeout: 15_000 }).toBe(true)

  const address = await network.me.address()
  await network.me.kill()
  await expect(page.getByRole('heading', { name: 'The network service is not running' })).toBeVisible()
  await expect.poll(async () => menuText(await tray.menu())).toContain('Start service…')
  await network.me.start()
  await expect(window.stateWord).toHaveText('On', { timeout: 15_000 })
  await expect(window.device('vps')).toBeVisible()
  await expect(page.locator('.own-address')).toContainText(address)
  expect(complaints).toEqual([])
  await tray.close()
})

test('the same app drives a stock daemon', async ({ world }) => {
  test.skip(stockProgram('tailscaled') === undefined, 'no stock tailscaled; npm run peers installs it')
  const network = await world.network({ leaveMeSignedOut: true, me: 'stock', machines: ['vps', 'phone'] })
  const { page } = await world.app(network)
  const window = new AppWindow(page)
  await joinByKey(page, network.control.url, network.key)
  await expect(window.toggle).toBeChecked({ timeout: 30_000 })
  await expect(window.device('vps')).toBeVisible({ timeout: 20_000 })
  await pingUntil(window, 'vps', /Direct.*ms/)
  await pingUntil(window, 'phone', /Relay lab.*ms/)
  expect(await packetsCome(network)).toBe(true)
  await window.pressToggle()
  await expect(window.stateWord).toHaveText('Off')
  await expect.poll(() => packetsCome(network)).toBe(false)
  await window.pressToggle()
  await expect(window.toggle).toBeChecked()
  await expect.poll(() => packetsCome(network), { timeout: 20_000 }).toBe(true)
})

test('wrong keys and wrong servers are told in words, and the next try works', async ({ world }) => {
  const network = await world.network({ leaveMeSignedOut: true, machines: ['vps'] })
  const { page } = await world.app(network)
  const window = new AppWindow(page)
  await joinByKey(page, network.control.url, `${network.key.slice(0, -6)}zzzzzz`)
  await expect(page.getByRole('alert')).toContainText(/key/i, { timeout: 20_000 })
  await joinByKey(page, network.control.url, network.key)
  await expect(window.device('vps')).toBeVisible({ timeout: 20_000 })
})
