/** Routes and bypass: single routes, what other VPNs suggest, safe apply, explain; a stock daemon beside. J6, J17. */
import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { AppWindow } from '../pages/window.ts'
import type { FakeOptions } from './fake-daemon.ts'
import { withExitNodes, withNetworks } from './fake-network.ts'
import { expect, test, type World } from './world.ts'

async function open(world: World, options: FakeOptions = {}, settings: Record<string, unknown> = {}) {
  const daemon = await world.daemon(options)
  withExitNodes(daemon)
  withNetworks(daemon)
  const running = await world.app({ settings })
  const window = new AppWindow(running.page)
  await expect(window.device('nas')).toBeVisible()
  await window.go('Routes')
  return { daemon, window, ...running }
}

const entry = (page: Page, text: string) =>
  page.getByRole('listitem').filter({ has: page.getByText(text, { exact: true }) })

test('J17: one route off in three clicks; each says why it is not in use', async ({ world }) => {
  const { page, daemon, complaints } = await open(world)
  daemon.routes.preview = undefined
  await expect(entry(page, '10.20.0.0/16')).toContainText('In use')
  await expect(entry(page, '192.168.1.0/24')).toContainText('you are in that very network')
  await expect(entry(page, '192.168.7.0/24')).toContainText('via cabin-pi, which is offline')
  await entry(page, '10.20.0.0/16').locator('.switch').click()
  await expect(entry(page, '10.20.0.0/16')).toContainText('switched off')
  expect(daemon.routes.routes.Off).toEqual(['10.20.0.0/16'])
  await page.locator('.setting .switch').click()
  await expect(entry(page, '10.20.0.0/16')).toContainText('networks of others are not used')
  expect(daemon.prefs.RouteAll).toBe(false)
  expect(complaints).toEqual([])
})

test('J6 by keyboard alone: what is typed is judged while it is typed, a suggestion is taken with one key', async ({
  world,
}) => {
  const { page, daemon } = await open(world)
  daemon.routes.preview = undefined
  await expect(page.getByText('wt0 has 10.0.0.0/16, 10.99.0.0/16')).toBeVisible()
  await page.getByRole('button', { name: 'Bypass everything that belongs to wt0' }).focus()
  await page.keyboard.press('Enter')
  await expect(entry(page, 'wt0')).toContainText('Interface')
  await expect(page.getByText('wt0 has')).toHaveCount(0)
  await expect(entry(page, 'tun-old')).toContainText('not here now')
  await expect(page.getByText('It comes into effect when an exit node is used')).toBeVisible()

  await page.getByRole('textbox', { name: 'Network', exact: true }).focus()
  await page.keyboard.type('10.8.0.0/33')
  await expect(page.getByText('Not a network')).toBeVisible()
  await page.keyboard.press('Enter')
  await page.keyboard.press('Backspace')
  await page.keyboard.press('Backspace')
  await page.keyboard.type('16')
  await page.keyboard.press('Enter')
  await expect(entry(page, '10.8.0.0/16')).toContainText('Network')
  await page.keyboard.type('git.corp')
  await expect(page.getByRole('radio', { name: 'Domain' })).toBeChecked()
  await page.keyboard.press('Enter')
  await expect(entry(page, 'git.corp')).toContainText('Domain')
  expect(daemon.routes.bypass.Setting).toMatchObject({
    Prefixes: ['172.16.4.0/22', '10.8.0.0/16'],
    Suffixes: ['corp.example', 'git.corp'],
    Interfaces: ['tun-old', 'wt0'],
  })
  expect(daemon.requests('PUT', 'pintail/bypass')).toHaveLength(3)
  daemon.routes.refusal = 'profile is being switched'
  await page.keyboard.type('10.9.0.0/16')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('alert')).toContainText('profile is being switched')
})

test('what may cut something off is shown first, made with a countdown, and undone or kept', async ({ world }) => {
  const { page, daemon, window } = await open(world)
  const remove = page.getByRole('button', { name: 'Remove 172.16.4.0/22' })
  const dialog = page.getByRole('alertdialog', { name: 'Check this change first' })
  await remove.click()
  await expect(dialog).toContainText('−')
  await expect(dialog).toContainText('172.16.4.0/22')
  await page.keyboard.press('Escape')
  await expect(dialog).toHaveCount(0)
  expect(daemon.requests('POST', 'pintail/changes')).toEqual([])

  await remove.click()
  await dialog.getByRole('button', { name: 'Apply, undo in 30 s' }).click()
  await expect(entry(page, '172.16.4.0/22')).toHaveCount(0)
  await expect(page.getByRole('timer')).toContainText(/2\d s left/)
  expect(daemon.requests('POST', 'pintail/changes')[0]?.body).toMatchObject({ ConfirmWithinSeconds: 30 })
  await window.go('Devices') // the question follows
  await page.getByRole('alert').getByRole('button', { name: 'Undo' }).click()
  await expect(page.getByRole('timer')).toHaveCount(0)
  await window.go('Routes')
  await expect(entry(page, '172.16.4.0/22')).toBeVisible()

  await remove.click()
  await dialog.getByRole('button', { name: 'Apply' }).click()
  await page.getByRole('alert').getByRole('button', { name: 'Keep' }).click()
  await expect(page.getByRole('timer')).toHaveCount(0)
  expect(daemon.routes.changes.Last?.Outcome).toBe('confirmed')
  expect(daemon.routes.bypass.Setting.Prefixes).toEqual([])
})

test('explain: the way, the reason, and who lost', async ({ world }) => {
  const { page } = await open(world)
  const box = page.getByRole('textbox', { name: 'An address, a network or a name' })
  await box.fill('10.8.4.2')
  await page.keyboard.press('Enter')
  await expect(page.getByText('10.8.4.2 → wt0, because you bypass 10.8.0.0/16.')).toBeVisible()
  await expect(page.getByText('Another VPN', { exact: true })).toBeVisible()
  await page.getByRole('button', { name: 'Why' }).click()
  await expect(page.locator('.step.won')).toContainText('your bypass list')
  await expect(page.getByText('your bypass list comes first')).toBeVisible()
})

test('a stock daemon: said in words what it cannot; all routes together still work', async ({ world }) => {
  const { page, daemon } = await open(world, { isStock: true })
  await expect(page.getByText('Not available with this service.')).toBeVisible()
  await expect(page.getByText('Single routes cannot be switched')).toBeVisible()
  await expect(entry(page, '192.168.1.0/24')).toContainText('via nas')
  await page.locator('.setting .switch').click()
  await expect.poll(() => daemon.prefs.RouteAll).toBe(false)
  await page.getByRole('textbox', { name: 'An address' }).fill('10.8.4.2')
  await page.keyboard.press('Enter')
  await expect(page.getByText('Explaining routes is not available')).toBeVisible()
})

const findings = async (page: Page) => {
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze()
  return violations.map(({ id, nodes }) => `${id} ${nodes[0]?.target.join(' ')} ${nodes[0]?.failureSummary}`)
}

test('axe finds nothing, light and wide', async ({ world }) => {
  const { page } = await open(world, {}, { theme: 'light' })
  await page.getByRole('textbox', { name: 'An address' }).fill('10.8.4.2')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Why' }).click()
  await page.getByRole('textbox', { name: 'Network', exact: true }).fill('nonsense/')
  await expect(page.locator('.step.won')).toBeVisible()
  await expect(page.getByText('Not a network')).toBeVisible()
  expect(await findings(page)).toEqual([])
})

test('axe finds nothing, dark, asking, and 320 pixels wide; nothing is cut off', async ({ world }) => {
  const { page, app } = await open(world, {}, { theme: 'dark' })
  await app.evaluate(({ BrowserWindow }) => {
    const [window] = BrowserWindow.getAllWindows()
    window?.setMinimumSize(200, 200)
    window?.setContentSize(320, 640)
  })
  await expect.poll(() => page.evaluate(() => innerWidth)).toBeLessThanOrEqual(330)
  await page.getByRole('button', { name: 'Remove 172.16.4.0/22' }).click()
  await expect(page.getByRole('alertdialog')).toBeVisible()
  expect(await findings(page)).toEqual([])
  await page.getByRole('button', { name: 'Apply, undo in 30 s' }).click()
  await expect(page.getByRole('timer')).toBeVisible()
  expect(await page.evaluate(() => document.querySelector('.page')?.scrollWidth)).toBeLessThanOrEqual(330)
  expect(await findings(page)).toEqual([])
})
