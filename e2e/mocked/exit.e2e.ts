/** Exit nodes: pick, switch, check, undo, by mouse and by keyboard alone; blocked; the tray's rows. J3, J4, J5. */
import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import type { PrefixText } from '../../src-contract/ids.ts'
import { AppWindow } from '../pages/window.ts'
import { menuText, TrayHost } from '../tray-watcher.ts'
import type { FakeDaemon } from './fake-daemon.ts'
import { fakeNode, withExitNodes, withNetworks } from './fake-network.ts'
import { expect, test, type World } from './world.ts'

const NAS = 'n21CNTRL'
const OFFICE = 'n22CNTRL'
const CABIN = 'n23CNTRL'

async function open(world: World, settings: Record<string, unknown> = {}, prepare?: (daemon: FakeDaemon) => void) {
  const daemon = await world.daemon()
  withExitNodes(daemon)
  prepare?.(daemon)
  const running = await world.app({ settings })
  const window = new AppWindow(running.page)
  await expect(window.device('nas')).toBeVisible()
  await window.go('Exit node')
  return { daemon, window, ...running }
}

const row = (page: Page, name: string) =>
  page
    .getByRole('treegrid', { name: 'Exit nodes' })
    .getByRole('row')
    .filter({ has: page.getByText(name, { exact: true }) })

test('J4: pick, see it verified, undo; nobody outside is asked', async ({ world }) => {
  const { page, daemon, window, complaints } = await open(world)
  await expect(page.getByRole('heading', { name: 'No exit node in use' })).toBeVisible()
  await row(page, 'nas-home').first().click()
  await expect(window.stateWord).toHaveText('On via nas-home')
  const result = page.locator('.switch-result')
  await expect(result).toContainText('Now through nas-home')
  await expect(result).toContainText('nas-home answers in 12 ms')
  await expect(result).toContainText('Names are looked up')
  await expect(result).toContainText('The network service reports no problem')
  expect(daemon.prefs.ExitNodeID).toBe(NAS)
  await row(page, 'office-gateway').click()
  await expect(window.stateWord).toHaveText('On via office-gateway')
  await result.getByRole('button', { name: 'Undo' }).click()
  await expect(window.stateWord).toHaveText('On via nas-home')
  await page.locator('.exit-now').getByRole('button', { name: 'Stop using' }).click()
  await expect(window.stateWord).toHaveText('On')
  await page.getByRole('button', { name: 'Use nas-home' }).click()
  await expect(window.stateWord).toHaveText('On via nas-home')
  expect(daemon.requests('PATCH', 'prefs').length).toBe(4)
  expect(complaints).toEqual([])
})

test('by keyboard alone: search a city, its best server; a country opens; Ctrl+E switches off and on', async ({
  world,
}) => {
  const { page, daemon, window } = await open(world)
  await page.keyboard.press('Control+1')
  await page.keyboard.press('Control+Shift+E')
  await expect(page.getByRole('treegrid')).toBeVisible()
  await page.keyboard.press('/')
  await page.keyboard.type('taip')
  await expect(row(page, 'Taipei')).toBeVisible()
  await expect(row(page, 'Sweden')).toHaveCount(0)
  await page.keyboard.press('Tab')
  await expect(page.getByRole('button', { name: 'Measure' })).toBeFocused()
  await page.keyboard.press('Tab')
  await expect(page.locator('[role=row]:focus')).toHaveCount(1)
  await page.keyboard.press('End')
  await page.keyboard.press('Enter')
  await expect(window.stateWord).toHaveText('On via Taipei')
  expect(daemon.nodes.get(daemon.prefs.ExitNodeID)?.Name).toMatch(/^tw-tai-3\./)
  await expect(page.locator('.switch-result')).toContainText('takes no pings')
  await page.keyboard.press('Control+e')
  await expect(window.stateWord).toHaveText('On')
  await page.keyboard.press('Control+e')
  await expect(window.stateWord).toHaveText('On via Taipei')
  await page.keyboard.press('/')
  await page.keyboard.press('Escape')
  await row(page, 'Sweden').focus()
  await page.keyboard.press('ArrowRight')
  await expect(row(page, 'Malmö')).toBeVisible()
  await expect(row(page, 'Malmö')).toContainText('3 servers')
})

test('latency: what is known at once, the rest measured; who is offline says so and is not chosen', async ({
  world,
}) => {
  const { page, daemon } = await open(world, {}, (fake) => {
    fake.pingAnswers[NAS] = { LatencySeconds: 0.0042 }
  })
  await expect(row(page, 'office-gateway')).toContainText('61 ms')
  await expect(row(page, 'nas-home').first()).toContainText('4.2 ms')
  expect(daemon.requests('POST', 'ping')).toHaveLength(1)
  await expect(row(page, 'cabin-pi')).toContainText('Offline, cannot be used now')
  await row(page, 'cabin-pi').click()
  await expect(page.getByRole('status').filter({ hasText: 'Offline, cannot be used now' })).toBeVisible()
  expect(daemon.prefs.ExitNodeID).toBe('')
})

test('S7: the one in use goes offline: blocked is said everywhere, with the ways out', async ({ world }) => {
  const { page, daemon, window } = await open(world, {}, (fake) => {
    fake.prefs = { ...fake.prefs, ExitNodeID: NAS }
  })
  await expect(window.stateWord).toHaveText('On via nas-home')
  const nas = daemon.nodes.get(NAS)
  if (nas === undefined) throw new Error('no nas')
  daemon.putNode({ ...nas, Online: false })
  daemon.setHealth([
    {
      WarnableCode: 'exit-node-unavailable',
      Severity: 'medium',
      Title: 'Exit node cannot be used',
      Text: 'x',
      ImpactsConnectivity: true,
    },
  ])
  await expect(window.stateWord).toHaveText('Internet blocked to protect you')
  await window.go('Devices')
  await expect(page.getByText('The exit node nas-home is offline.')).toHaveCount(1)
  await expect(page.getByText('Exit node cannot be used')).toHaveCount(0)
  await expect(window.device('nas')).toContainText('Direct') // devices are not blocked
  await expect(page.getByRole('button', { name: 'Use vps-frankfurt' })).toBeVisible() // one click away
  await page.getByRole('button', { name: 'Use another exit node' }).click()
  await row(page, 'office-gateway').click()
  await expect(window.stateWord).not.toHaveText('Internet blocked to protect you')
  expect(daemon.prefs.ExitNodeID).toBe(OFFICE)
})

test('J5 and what happens when it fails; a daemon that refuses is quoted', async ({ world }) => {
  const { page, daemon } = await open(world, {}, (fake) => {
    fake.prefs = { ...fake.prefs, ExitNodeID: NAS }
  })
  await page.locator('.exit-options .switch').click()
  await expect.poll(() => daemon.prefs.ExitNodeAllowLANAccess).toBe(true)
  await page.getByText('Another one takes over', { exact: true }).click()
  await expect.poll(() => daemon.prefs.AutoExitNode).toBe('any')
  await expect(page.getByRole('radio', { name: 'Another one takes over' })).toBeChecked()
  await expect(page.getByRole('radio', { name: 'Block internet' })).toBeEnabled()
  await page.getByText('Block internet', { exact: true }).click()
  await expect.poll(() => daemon.prefs.AutoExitNode).toBe('')
  expect(daemon.prefs.ExitNodeID).toBe(NAS)
  daemon.isReadOnly = true
  await row(page, 'office-gateway').click()
  await expect(page.getByRole('alert')).toContainText('may not change the network')
})

test('the company’s VPN is asked about where the exit node swallows it; hostile names break nothing', async ({
  world,
}) => {
  const names = ['<img src=x onerror=alert(1)>', '😀'.repeat(255), '\u202egnp.exe', 'a'.repeat(5000)]
  const { page, daemon, complaints } = await open(world, {}, (fake) => {
    withNetworks(fake)
    fake.routes.preview = undefined
    const nas = fake.nodes.get(NAS)
    for (const [at, name] of names.entries()) {
      const node = { ...fakeNode(60 + at, { name: 'x', routes: ['0.0.0.0/0', '::/0'] }), Name: `${name}.` }
      fake.nodes.set(node.StableID, node)
    }
    if (nas === undefined) throw new Error('no nas')
    const route = { Prefix: '10.66.0.0/16' as PrefixText, Via: NAS, Online: true, InUse: true, Reason: '' as const }
    fake.routes.routes.Routes.push({ ...route, ViaName: names[2] ?? '' })
  })
  await expect(page.getByText('wt0 has')).toHaveCount(0)
  await row(page, 'nas-home').first().click()
  await page.getByRole('button', { name: 'Bypass everything that belongs to wt0' }).click()
  await expect(page.getByText('wt0 has')).toHaveCount(0)
  expect(daemon.routes.bypass.Setting.Interfaces).toContain('wt0')
  expect(await page.evaluate(() => document.querySelector('.page')?.scrollWidth)).toBeLessThanOrEqual(830)
  await new AppWindow(page).go('Routes')
  await expect(page.getByText('10.66.0.0/16')).toBeVisible()
  expect(await page.locator('main').textContent()).not.toContain('\u202e')
  expect(await page.locator('img').count()).toBe(0)
  expect(complaints).toEqual([])
})

test('nobody offers one: what it is, and how to become one', async ({ world }) => {
  const daemon = await world.daemon()
  for (const node of [...daemon.nodes.values()])
    if (node.AllowedIPs?.includes('::/0')) daemon.nodes.delete(node.StableID)
  const { page } = await world.app()
  await new AppWindow(page).go('Exit node')
  await expect(page.getByText('--advertise-exit-node')).toBeVisible()
})

const findings = async (page: Page) => {
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze()
  return violations.map(({ id, nodes }) => `${id} ${nodes[0]?.target.join(' ')} ${nodes[0]?.failureSummary}`)
}

test('axe finds nothing, light and wide', async ({ world }) => {
  const { page } = await open(world, { theme: 'light' })
  await row(page, 'nas-home').first().click()
  await expect(page.locator('.switch-result')).toContainText('answers')
  await row(page, 'Sweden').click()
  await expect(row(page, 'Malmö')).toContainText('about 680 km away')
  expect(await findings(page)).toEqual([])
})

test('axe finds nothing, dark, blocked and 320 pixels wide; nothing is cut off', async ({ world }) => {
  const { page, app } = await open(world, { theme: 'dark' }, (fake) => {
    fake.prefs = { ...fake.prefs, ExitNodeID: CABIN }
  })
  await app.evaluate(({ BrowserWindow }) => {
    const [window] = BrowserWindow.getAllWindows()
    window?.setMinimumSize(200, 200)
    window?.setContentSize(320, 640)
  })
  await expect.poll(() => page.evaluate(() => innerWidth)).toBeLessThanOrEqual(330)
  await expect(page.locator('.message.bad')).toBeVisible()
  expect(await page.evaluate(() => document.querySelector('.page')?.scrollWidth)).toBeLessThanOrEqual(330)
  expect(await findings(page)).toEqual([])
})

test('J3 in two clicks from the tray: the last one on and off; the submenu chooses and ticks', async ({ world }) => {
  const tray = await TrayHost.open()
  try {
    const { daemon } = await open(world)
    const labels = async () => menuText(await tray.menu())
    await expect.poll(() => labels().catch(() => [])).toContain('Exit node')
    expect(await labels()).not.toContain('Use exit node: nas-home')
    await tray.click(await tray.find('Suggested: nas-home'))
    await expect.poll(() => daemon.prefs.ExitNodeID).toBe(NAS)
    await expect.poll(labels).toContain('On via nas-home · home.example')
    await tray.click(await tray.find('Stop using nas-home'))
    await expect.poll(() => daemon.prefs.ExitNodeID).toBe('')
    await expect.poll(labels).toContain('Use exit node: nas-home')
    await tray.click(await tray.find('Use exit node: nas-home'))
    await expect.poll(() => daemon.prefs.ExitNodeID).toBe(NAS)
    await tray.click(await tray.find('Allow local network'))
    await expect.poll(() => daemon.prefs.ExitNodeAllowLANAccess).toBe(true)
    expect(await labels()).toContain('  cabin-pi (offline)')
  } finally {
    await tray.close()
  }
})
