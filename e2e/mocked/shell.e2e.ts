/** The shell around the screens: isolation, single instance, settings, closing without a tray, pictures, accessibility. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import AxeBuilder from '@axe-core/playwright'
import { electronExecutable, launchArguments, temporaryFolder } from '../app.ts'
import { AppWindow } from '../pages/window.ts'
import { expect, test } from './world.ts'

test('the page is locked in: no Node, no network, no inline script, no windows, no way elsewhere', async ({
  world,
}) => {
  const daemon = await world.daemon()
  const { app, page, complaints } = await world.app()
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  expect(page.url()).toBe('app://pintail/index.html')
  expect(
    await page.evaluate(() => [typeof Reflect.get(window, 'require'), typeof Reflect.get(window, 'process')]),
  ).toEqual(['undefined', 'undefined'])
  expect(await page.evaluate(() => Object.keys(window.pintail).sort())).toEqual(['call', 'on'])
  const preferences = await app.evaluate(({ BrowserWindow }) => {
    const page = BrowserWindow.getAllWindows()[0]?.webContents as unknown as {
      getLastWebPreferences(): Record<string, unknown>
    }
    const { sandbox, contextIsolation, nodeIntegration, webSecurity } = page.getLastWebPreferences()
    return { sandbox, contextIsolation, nodeIntegration, webSecurity }
  })
  expect(preferences).toEqual({ sandbox: true, contextIsolation: true, nodeIntegration: false, webSecurity: true })
  expect(complaints).toEqual([])

  const fetched = await page.evaluate(() =>
    fetch('https://example.org/').then(
      () => 'came',
      () => 'refused',
    ),
  )
  expect(fetched).toBe('refused')
  const inline = await page.evaluate(() => {
    try {
      document.body.setAttribute('onclick', 'window.wasRun = true')
      return 'taken'
    } catch {
      return 'refused'
    }
  })
  expect(inline).toBe('refused')
  await page.evaluate(() => {
    window.open('https://example.org/')
    location.href = 'https://example.org/'
  })
  await page.waitForTimeout(300)
  expect(page.url()).toBe('app://pintail/index.html')
  expect(app.windows()).toHaveLength(1)
  const permission = await page.evaluate(() => Notification.requestPermission())
  expect(permission).toBe('denied')
  expect(daemon.refused).toEqual([])
})

test('the bridge takes only what its table says', async ({ world }) => {
  await world.daemon()
  const { page } = await world.app()
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  const answers = await page.evaluate(async () => {
    const call = window.pintail.call as unknown as (
      name: string,
      input: unknown,
    ) => Promise<{ ok: boolean; error?: { code: string } }>
    const outcome = async (name: string, input: unknown) =>
      call(name, input).then(
        (result) => (result.ok ? 'ok' : (result.error?.code ?? '?')),
        () => 'threw',
      )
    return [
      await outcome('connection.set', { on: 'yes' }),
      await outcome('connection.set', { on: true, extra: 1 }),
      await outcome('signIn.browser', { controlUrl: 'file:///etc' }),
      await outcome('clipboard.copy', { text: 'x'.repeat(20_000) }),
      await outcome('settings.set', { whenClosed: 'explode' }),
      await outcome('device.ping', { id: 'nobody', type: 'disco' }),
      await outcome('shell.run', { command: 'rm' }),
      await outcome('__proto__', {}),
    ]
  })
  expect(answers).toEqual([
    'not-allowed',
    'not-allowed',
    'not-allowed',
    'not-allowed',
    'not-allowed',
    'not-found',
    'threw',
    'threw',
  ])
})

test('files outside the page folder are not served', async ({ world }) => {
  await world.daemon()
  const { app } = await world.app()
  const answers = await app.evaluate(async ({ net }) =>
    Promise.all(
      [
        'app://pintail/../main/main.mjs',
        'app://pintail/%2e%2e/main/main.mjs',
        'app://other/index.html',
        'app://pintail/etc/passwd',
      ].map(async (url) => (await net.fetch(url)).status),
    ),
  )
  expect(answers).toEqual([404, 404, 404, 404])
})

test('a second start shows the first window and ends', async ({ world }) => {
  await world.daemon()
  const { app, page, userDataDir } = await world.app()
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.hide())
  const second = spawn(electronExecutable(), launchArguments({ socketPath: world.socketPath }, userDataDir), {
    stdio: 'ignore',
  })
  const code = await new Promise((resolve) => second.once('exit', resolve))
  expect(code).toBe(0)
  await expect.poll(() => app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.isVisible())).toBe(true)
})

test('language and theme change at once and are kept', async ({ world }) => {
  await world.daemon()
  const userDataDir = temporaryFolder()
  const first = await world.app({ userDataDir, args: ['--lang='] })
  await new AppWindow(first.page).go('Settings')
  await first.page.getByText('繁體中文（台灣）', { exact: true }).click()
  await expect(first.page.getByRole('heading', { name: '設定' })).toBeVisible()
  await first.page.getByText('深色', { exact: true }).first().click()
  await expect.poll(() => first.page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches)).toBe(true)
  expect(await first.page.evaluate(() => document.documentElement.lang)).toBe('zh-TW')
  await first.app.close()
  const second = await world.app({ userDataDir, args: ['--lang='] })
  await expect(second.page.getByRole('grid', { name: '裝置' })).toBeVisible()
  expect(await second.page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches)).toBe(true)
  expect(JSON.parse(readFileSync(join(userDataDir, 'settings.json'), 'utf8'))).toMatchObject({
    language: 'zh-TW',
    theme: 'dark',
  })
})

test('without a tray closing asks once; keep hides the window, and a broken settings file harms nobody', async ({
  world,
}) => {
  await world.daemon()
  const { app, page } = await world.app({ settings: { theme: 'pink', window: 'big', whenClosed: 'ask' } })
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  const close = () => app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close())
  const isVisible = () => app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.isVisible())
  await close()
  const dialog = page.getByRole('alertdialog', { name: 'Keep Pintail running?' })
  await expect(dialog).toBeVisible()
  expect(await isVisible()).toBe(true)
  await dialog.getByText('Remember my choice').click()
  await dialog.getByRole('button', { name: 'Keep running' }).click()
  await expect.poll(isVisible).toBe(false)
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.show())
  await close()
  await expect.poll(isVisible).toBe(false)
})

test('nothing is asked of the daemon while nobody looks', async ({ world }) => {
  const daemon = await world.daemon()
  const { app, page } = await world.app()
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.hide())
  await page.waitForTimeout(300)
  const asked = daemon.seen.length
  await page.waitForTimeout(2500)
  expect(daemon.seen.length).toBe(asked)
  expect(daemon.watcherCount).toBe(1)
})

test('a page that crashes comes back by itself', async ({ world }) => {
  await world.daemon()
  const { app, page } = await world.app()
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  const crashed = page.waitForEvent('crash')
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.forcefullyCrashRenderer())
  await crashed
  const text = () =>
    app.evaluate(({ BrowserWindow }) =>
      BrowserWindow.getAllWindows()[0]
        ?.webContents.executeJavaScript('document.body.innerText')
        .catch(() => ''),
    )
  await expect.poll(text).toContain('vps-frankfurt')
})

test('--screenshot saves the connected window and ends', async ({ world }) => {
  await world.daemon()
  const file = join(world.folder, 'picture.png')
  const arguments_ = launchArguments(
    { socketPath: world.socketPath, args: [`--screenshot=${file}`] },
    join(world.folder, 'data'),
  )
  const app = spawn(electronExecutable(), arguments_, { stdio: 'ignore' })
  expect(await new Promise((resolve) => app.once('exit', resolve))).toBe(0)
  expect(existsSync(file)).toBe(true)
  const png = readFileSync(file)
  expect(png.subarray(1, 4).toString('latin1')).toBe('PNG')
  expect(png.length).toBeGreaterThan(20_000)
})

for (const theme of ['light', 'dark'])
  test(`axe finds nothing on any screen (${theme})`, async ({ world }) => {
    const daemon = await world.daemon()
    const { page } = await world.app({ settings: { theme } })
    const window = new AppWindow(page)
    const check = async (screen: string) => {
      const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze()
      const found = violations.map(
        ({ id, nodes }) => `${screen}: ${id} at ${nodes[0]?.target.join(' ')}: ${nodes[0]?.failureSummary}`,
      )
      expect(found).toEqual([])
    }
    await window.device('phone').click()
    await window.details('phone').getByRole('button', { name: 'Ping' }).click()
    await expect(window.details('phone').locator('.ping-last')).toContainText('88 ms')
    await check('devices')
    await window.go('This device')
    await check('this device')
    await window.go('Settings')
    await check('settings')
    await window.go('Devices')
    await window.pressToggle()
    await expect(window.stateWord).toHaveText('Off')
    await check('off')
    daemon.setState('NeedsLogin')
    await expect(page.getByRole('heading', { name: 'Join your network' })).toBeVisible()
    await check('sign in')
    await daemon.stop()
    await expect(page.getByRole('heading', { name: 'The network service is not running' })).toBeVisible()
    await check('service away')
  })
