/** `PINTAIL_PICTURES=1 npm run e2e`: makes docs/images (and test-results/pictures) from the fake household. Not a test. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from '@playwright/test'
import { projectRoot } from '../app.ts'
import { withExitNodes, withNetworks } from './fake-network.ts'
import { expect, test } from './world.ts'

/** These are for the documents; the rest is looked at and thrown away. */
const kept = [
  'devices-light',
  'exit-node-light',
  'routes-light',
  'details-dark',
  'devices-zh-tw',
  'sign-in-dark',
  'off-light',
  'narrow-light',
]
const documents = join(projectRoot, 'docs', 'images')
const scratch = join(projectRoot, 'test-results', 'pictures')
for (const folder of [documents, scratch]) mkdirSync(folder, { recursive: true })

async function shoot(page: Page, name: string): Promise<void> {
  await page.mouse.move(5, 400)
  await page.waitForTimeout(500)
  await page.screenshot({
    path: join(kept.includes(name) ? documents : scratch, `${name}.png`),
    animations: 'disabled',
  })
}

async function openDetails(page: Page, name: string, pings: number): Promise<void> {
  await page.getByRole('row').filter({ hasText: name }).click()
  for (let at = 0; at < pings; at++) {
    await page.locator('.ping-panel .button').click()
    await page.waitForTimeout(150)
  }
}

for (const theme of ['light', 'dark'])
  test(`devices ${theme}`, async ({ world }) => {
    const daemon = await world.daemon()
    const { page } = await world.app({ settings: { theme } })
    await page.getByText('0.8 ms').waitFor()
    await shoot(page, `devices-${theme}`)
    for (const [at, seconds] of [0.088, 0.071, 0.093, 0.076].entries()) {
      daemon.pingAnswers.n5CNTRL = { ...daemon.pingAnswers.n5CNTRL, LatencySeconds: seconds }
      if (at === 0) await openDetails(page, 'phone', 1)
      else await page.locator('.ping-panel .button').click()
      await page.waitForTimeout(150)
    }
    await shoot(page, `details-${theme}`)
    await page.locator('.nav-item').nth(3).click()
    await shoot(page, `this-device-${theme}`)
    await page.locator('.nav-item').nth(4).click()
    await shoot(page, `settings-${theme}`)
  })

test('devices in Chinese', async ({ world }) => {
  await world.daemon()
  const { page } = await world.app({ args: ['--lang=zh-TW'] })
  await page.locator('.latency').first().waitFor()
  await openDetails(page, 'nas', 2)
  await shoot(page, 'devices-zh-tw')
  await page.locator('.nav-item').nth(4).click()
  await shoot(page, 'settings-zh-tw')
})

test('off, service away, attention', async ({ world }) => {
  const daemon = await world.daemon()
  const { page } = await world.app({ settings: { theme: 'light' } })
  await page.getByText('0.8 ms').waitFor()
  daemon.setHealth([
    {
      WarnableCode: 'no-derp',
      Severity: 'high',
      Title: 'No relay',
      Text: 'The relay Frankfurt does not answer. Devices behind strict firewalls cannot be reached.',
    },
    { WarnableCode: 'update', Severity: 'low', Title: 'Update available', Text: '' },
  ])
  await shoot(page, 'attention-light')
  daemon.setHealth([])
  await page.locator('.connect .switch').click()
  await shoot(page, 'off-light')
  await daemon.stop()
  await shoot(page, 'service-away-light')
})

test('sign in', async ({ world }) => {
  await world.daemon({ state: 'NeedsLogin' })
  const { app, page } = await world.app({ settings: { theme: 'dark' } })
  await app.evaluate(({ shell }) => {
    shell.openExternal = async () => undefined
  })
  await page.getByRole('button', { name: 'Continue in browser' }).waitFor()
  await shoot(page, 'sign-in-dark')
  await page.getByRole('button', { name: 'Continue in browser' }).click()
  await page.locator('svg.qr').waitFor()
  await shoot(page, 'sign-in-browser-dark')
})

test('narrow', async ({ world }) => {
  await world.daemon()
  const { app, page } = await world.app({ settings: { theme: 'light' } })
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.setSize(400, 720))
  await page.locator('.path-chip.direct').first().waitFor()
  await page.waitForTimeout(500)
  await shoot(page, 'narrow-light')
  await openDetails(page, 'nas', 1)
  await shoot(page, 'narrow-details-light')
})

for (const [theme, language] of [
  ['light', 'en'],
  ['dark', 'zh-TW'],
])
  test(`exit nodes ${theme}`, async ({ world }) => {
    const daemon = await world.daemon()
    withExitNodes(daemon)
    const { page, app } = await world.app({ settings: { theme }, args: [`--lang=${language}`] })
    await page.locator('.nav-item').nth(1).click()
    await page.getByText('office-gateway').first().waitFor()
    await shoot(page, `exit-node-off-${theme}`)
    await page.getByText('nas-home').first().click()
    await page.locator('.check-line').nth(2).waitFor()
    await page.getByRole('row').filter({ hasText: 'SE' }).first().click()
    await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.setSize(1040, 980))
    await page.locator('.page').evaluate((element) => element.scrollTo(0, 0))
    await shoot(page, `exit-node-${theme}`)
    await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.setSize(1040, 1400))
    await shoot(page, `exit-node-tall-${theme}`)
    const nas = daemon.nodes.get('n21CNTRL')
    if (nas !== undefined) daemon.putNode({ ...nas, Online: false })
    await expect(page.locator('.message.bad')).toBeVisible()
    await app.evaluate(({ BrowserWindow }) => {
      const [window] = BrowserWindow.getAllWindows()
      window?.setMinimumSize(200, 200)
      window?.setContentSize(320, 700)
    })
    await page.locator('.page').evaluate((element) => element.scrollTo(0, 0))
    await shoot(page, `exit-node-narrow-${theme}`)
  })

for (const [theme, language] of [
  ['light', 'en'],
  ['dark', 'zh-TW'],
])
  test(`routes ${theme}`, async ({ world }) => {
    const daemon = await world.daemon()
    withExitNodes(daemon)
    withNetworks(daemon)
    daemon.prefs = { ...daemon.prefs, ExitNodeID: 'n21CNTRL' }
    const { page, app } = await world.app({ settings: { theme }, args: [`--lang=${language}`] })
    await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.setSize(1040, 980))
    await page.locator('.nav-item').nth(2).click()
    await page.getByRole('textbox').first().fill('10.8.4.2')
    await page.keyboard.press('Enter')
    await page.locator('.disclosure button').first().click()
    await shoot(page, `routes-${theme}`)
    await page.locator('.page').evaluate((element) => element.scrollTo(0, 9999))
    await page.getByRole('textbox').nth(1).fill('corp.example/')
    await shoot(page, `routes-bypass-${theme}`)
    await page.locator('.route-row .icon-button').first().click()
    await shoot(page, `routes-change-${theme}`)
    await page.locator('.modal .primary').click()
    await page.locator('.countdown').waitFor()
    await app.evaluate(({ BrowserWindow }) => {
      const [window] = BrowserWindow.getAllWindows()
      window?.setMinimumSize(200, 200)
      window?.setContentSize(320, 900)
    })
    await shoot(page, `routes-pending-narrow-${theme}`)
    await page.locator('.page').evaluate((element) => element.scrollTo(0, 500))
    await shoot(page, `routes-narrow-${theme}`)
  })
