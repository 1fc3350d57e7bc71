/**
 * The app on a traveller's laptop: real daemons, a web site that tells who asks, the company's own VPN beside. States S10
 * and S7, jobs J3, J4, J6; what is asserted is the machine: its routes, and as whom the site sees it. U17.
 */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as base, expect, type Page } from '@playwright/test'
import { Away, type AwayOptions, COMPANY, SITE } from '../../lab/away.ts'
import { stockProgram } from '../../lab/daemon.ts'
import { discard } from '../../lab/demo-network.ts'
import { openApp, projectRoot, type RunningApp } from '../app.ts'
import { AppWindow } from '../pages/window.ts'
import { menuText, TrayHost } from '../tray-watcher.ts'

interface AwayWorld {
  away(options: Omit<AwayOptions, 'folder'>): Promise<Away>
  app(away: Away): Promise<RunningApp>
}

const test = base.extend<{ world: AwayWorld }>({
  // biome-ignore lint/correctness/noEmptyPattern: the runner insists on a pattern
  world: async ({}, use, info) => {
    const folder = mkdtempSync(join(tmpdir(), 'pt-e2e-'))
    const stages: Away[] = []
    const apps: RunningApp[] = []
    await use({
      away: async (options) => {
        const away = await Away.open({ folder, ...options })
        stages.push(away)
        await away.approveExits()
        return away
      },
      app: async (away) => {
        const app = await openApp({ socketPath: away.client.socketPath, settings: { theme: 'light' } })
        apps.push(app)
        return app
      },
    })
    const hasFailed = info.status !== info.expectedStatus
    for (const app of apps) {
      if (hasFailed) await app.page.screenshot({ path: info.outputPath('app.png') }).catch(() => undefined)
      await app.close()
    }
    for (const away of stages) {
      if (hasFailed) await info.attach('daemon.log', { body: away.client.log })
      await away.close()
    }
    discard(folder)
  },
})

test.skip(process.env.PINTAIL_SANDBOX !== '1', 'the laboratory does not work on this machine')
test.setTimeout(150_000)

const pictures = join(projectRoot, process.env.PINTAIL_PICTURES ? 'docs/images' : 'test-results/pictures')
const within = { timeout: 20_000 }

async function shoot(page: Page, name: string): Promise<void> {
  mkdirSync(pictures, { recursive: true })
  await page.locator('.page').evaluate((element) => element.scrollTo(0, 0))
  await page.screenshot({ path: join(pictures, `${name}.png`) })
}

const row = (page: Page, name: string) =>
  page
    .getByRole('treegrid')
    .getByRole('row')
    .filter({ has: page.getByText(name, { exact: true }) })
    .last()

test('U17: exit node on, the company kept by bypass, the exit node dies, another one, off', async ({ world }) => {
  const tray = await TrayHost.open()
  const away = await world.away({ client: 'ours', exits: ['ours', 'ours'] })
  const [exit1, exit2] = away.exits
  const { page, complaints } = await world.app(away)
  const window = new AppWindow(page)
  await window.go('Exit node')

  await row(page, 'exit1').click()
  await expect(window.stateWord).toHaveText('On via exit1', within)
  await expect(page.locator('.switch-result')).toContainText(/exit1 answers in/, within)
  await shoot(page, 'away-exit-node')
  expect(await away.routeGet(SITE)).toBe('pintail0 52')
  await expect.poll(() => away.seenAs(), within).toBe(exit1?.address)
  expect(await away.reaches(COMPANY, 1)).toBe(false)

  await page.keyboard.press('Control+3')
  await page.getByRole('button', { name: 'Bypass everything that belongs to wt0' }).press('Enter')
  await expect.poll(() => away.routeGet(COMPANY), within).toBe('wt0 main')
  expect(await away.reaches(COMPANY)).toBe(true)
  await page.getByRole('textbox', { name: 'An address' }).fill(COMPANY)
  await page.keyboard.press('Enter')
  await expect(page.getByText('Another VPN', { exact: true })).toBeVisible()
  await shoot(page, 'away-routes')

  await page.getByRole('button', { name: 'Remove wt0' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Apply' }).click()
  await expect.poll(() => away.routeGet(COMPANY), within).toBe('pintail0 52')
  await page.getByRole('alert').getByRole('button', { name: 'Undo' }).click()
  await expect.poll(() => away.routeGet(COMPANY), within).toBe('wt0 main')

  await away.leaked()
  await exit1?.daemon.kill()
  await expect(window.stateWord).toHaveText('Internet blocked to protect you', within)
  expect(await away.seenAs(1)).toBe('')
  expect(await away.routeGet(SITE)).toBe('pintail0 52')
  expect(await away.reaches(COMPANY)).toBe(true)
  await page.getByRole('button', { name: 'Use another exit node' }).click()
  await shoot(page, 'away-blocked')
  await row(page, 'exit2').click()
  await expect.poll(() => away.seenAs(), within).toBe(exit2?.address)
  expect(await away.leaked()).toEqual([])

  await expect.poll(async () => menuText(await tray.menu()), within).toContain('Stop using exit2')
  await tray.click(await tray.find('Stop using exit2'))
  await expect(window.stateWord).toHaveText('On', within)
  expect(await away.routeGet(SITE)).toBe('eth0 main')
  expect(await away.seenAs()).toBe(away.routerAddress)
  await expect.poll(async () => menuText(await tray.menu()), within).toContain('Use exit node: exit2')
  await tray.click(await tray.find('Use exit node: exit2'))
  await expect.poll(() => away.routeGet(SITE), within).toBe('pintail0 52')
  expect(complaints).toEqual([])
  await tray.close()
})

test('a stock daemon: the exit node is chosen and left alike; what it has not is said', async ({ world }) => {
  test.skip(stockProgram('tailscaled') === undefined, 'no stock tailscaled; npm run peers installs it')
  const away = await world.away({ client: 'stock', exits: ['ours'] })
  const { page } = await world.app(away)
  const window = new AppWindow(page)
  await window.go('Exit node')
  await row(page, 'exit1').click()
  await expect(window.stateWord).toContainText('exit1', within)
  await expect.poll(() => away.routeGet(SITE), within).toBe('tailscale0 52')
  await expect.poll(() => away.seenAs(), within).toBe(away.exits[0]?.address)
  await window.go('Routes')
  await expect(page.getByText('Not available with this service.')).toBeVisible()
  await page.keyboard.press('Control+e')
  await expect.poll(() => away.routeGet(SITE), within).toBe('eth0 main')
  await expect(window.stateWord).not.toContainText('exit1', within) // the app has heard of it, too
  await page.keyboard.press('Control+e')
  await expect.poll(() => away.routeGet(SITE), within).toBe('tailscale0 52')
})
