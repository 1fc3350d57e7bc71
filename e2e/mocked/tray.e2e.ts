/** The tray, read and clicked over D-Bus as a desktop does. */

import { launch } from '../app.ts'
import { AppWindow } from '../pages/window.ts'
import { menuText, TrayHost } from '../tray-watcher.ts'
import { test as base, expect } from './world.ts'

const test = base.extend<{ tray: TrayHost }>({
  // biome-ignore lint/correctness/noEmptyPattern: the runner insists on a pattern
  tray: async ({}, use) => {
    const tray = await TrayHost.open()
    await use(tray)
    await tray.close()
  },
})

async function labels(tray: TrayHost): Promise<string[]> {
  return menuText(await tray.menu())
}

test('the menu shows state, toggle, own address and devices', async ({ world, tray }) => {
  await world.daemon()
  const { page } = await world.app()
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  await expect.poll(() => labels(tray).catch(() => [])).toContain('On · home.example')
  const menu = await labels(tray)
  expect(menu.slice(0, 14)).toEqual([
    'On · home.example',
    'Turn off',
    '--',
    'Exit node',
    '  Off',
    '  vps-frankfurt',
    '  --',
    '  Allow local network',
    '  Choose exit node…',
    '--',
    'This device: 100.64.0.1',
    'Devices',
    '  cam-01',
    '    Copy 100.64.0.8',
  ])
  expect(menu).toContain('    Ping')
  expect(menu).toContain('  All devices…')
  expect(menu.slice(-3)).toEqual(['Open Pintail', 'Settings…', 'Quit Pintail'])
  const rootRows = (await tray.menu()).filter((row) => !row.isSeparator)
  expect(rootRows.length).toBeLessThanOrEqual(12)
})

test('the icon has another shape for each state', async ({ world, tray }) => {
  const daemon = await world.daemon()
  await world.app()
  await expect.poll(() => labels(tray).catch(() => [])).toContain('Turn off')
  const on = await tray.picture()
  expect(on.width).toBeGreaterThanOrEqual(16)
  daemon.setState('Stopped')
  await expect.poll(async () => (await tray.picture()).pixels).not.toBe(on.pixels)
  const off = await tray.picture()
  expect(await labels(tray)).toContain('Turn on')
  await daemon.stop()
  await expect.poll(() => labels(tray)).toContain('Start service…')
  await expect.poll(async () => (await tray.picture()).pixels).not.toBe(off.pixels)
})

test('toggle, copy and ping from the menu', async ({ world, tray }) => {
  const daemon = await world.daemon()
  const { app } = await world.app()
  await expect.poll(() => labels(tray).catch(() => [])).toContain('Turn off')
  await tray.click(await tray.find('Copy 100.64.0.2'))
  await expect.poll(() => app.evaluate(({ clipboard }) => clipboard.readText())).toBe('100.64.0.2')
  await tray.click(await tray.find('This device'))
  await expect.poll(() => app.evaluate(({ clipboard }) => clipboard.readText())).toBe('100.64.0.1')
  await tray.click(await tray.find('Ping'))
  await expect.poll(() => daemon.requests('POST', 'ping').length).toBe(1)
  await tray.click(await tray.find('Turn off'))
  await expect.poll(() => daemon.prefs.WantRunning).toBe(false)
  await expect.poll(() => labels(tray)).toContain('Turn on')
})

test('the app lives on when the window closes, gives its renderer back, and returns', async ({ world, tray }) => {
  await world.daemon()
  const { app, page } = await world.app({ args: ['--destroy-window-after-ms=400'] })
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close())
  await expect
    .poll(() => app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.isVisible() ?? false))
    .toBe(false)
  await expect.poll(() => app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows().length)).toBe(0)
  expect(
    await app.evaluate(
      ({ app: electronApp }) => electronApp.getAppMetrics().filter(({ type }) => type === 'Tab').length,
    ),
  ).toBe(0)
  const [again] = await Promise.all([app.waitForEvent('window'), tray.click(await tray.find('All devices'))])
  await expect(new AppWindow(again).device('nas')).toBeVisible()
})

test('hidden start: tray only, no renderer; Activate opens the window; Quit ends it', async ({ world, tray }) => {
  await world.daemon()
  const app = await launch({ socketPath: world.socketPath, args: ['--hidden'] })
  await expect.poll(() => labels(tray).catch(() => [])).toContain('Turn off')
  expect(await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows().length)).toBe(0)
  const [page] = await Promise.all([app.waitForEvent('window'), tray.activate()])
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  const ended = new Promise((resolve) => app.process().once('exit', resolve))
  await tray.click(await tray.find('Quit'))
  await ended
})
