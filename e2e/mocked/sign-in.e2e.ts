/** U2: joining by key, by browser, at any server; and what happens when it goes wrong. */
import type { ElectronApplication } from '@playwright/test'
import type { StartOptions } from '../../src-contract/localapi/prefs.ts'
import { AppWindow } from '../pages/window.ts'
import { expect, test } from './world.ts'

/** Remembers what would have opened in the browser. */
async function catchOpenedPages(app: ElectronApplication): Promise<() => Promise<string[]>> {
  await app.evaluate(({ shell }) => {
    const opened: string[] = []
    Object.assign(globalThis, { openedPages: opened })
    shell.openExternal = async (url: string) => {
      opened.push(url)
    }
  })
  return () => app.evaluate(() => (globalThis as unknown as { openedPages: string[] }).openedPages)
}

test('U2: join with an auth key at an own server', async ({ world }) => {
  const daemon = await world.daemon({ state: 'NeedsLogin' })
  const { page } = await world.app()
  const window = new AppWindow(page)
  await expect(page.getByRole('heading', { name: 'Join your network' })).toBeVisible()
  await page.getByRole('textbox', { name: 'Server' }).fill('hs.example.org:8443')
  await page.getByLabel('Auth key', { exact: true }).fill('  tskey-auth-abc123  ')
  await page.getByRole('button', { name: 'Join with key' }).click()
  await expect(window.device('nas')).toBeVisible()
  const start = daemon.requests('POST', 'start').at(-1)?.body as StartOptions
  expect(start.AuthKey).toBe('tskey-auth-abc123')
  expect(start.UpdatePrefs?.ControlURL).toBe('https://hs.example.org:8443')
  expect(start.UpdatePrefs?.WantRunning).toBe(true)
  await expect(page.getByRole('button', { name: 'Join with key' })).toHaveCount(0)
})

test('wrong key: the server says why, nothing typed is lost', async ({ world }) => {
  const daemon = await world.daemon({ state: 'NeedsLogin' })
  daemon.keyRefusal = 'invalid key: it expired on 2026-01-01'
  const { page } = await world.app()
  await page.getByRole('textbox', { name: 'Server' }).fill('https://hs.example.org')
  await page.getByLabel('Auth key', { exact: true }).fill('tskey-auth-old')
  await page.getByRole('button', { name: 'Join with key' }).click()
  await expect(page.getByRole('alert')).toContainText('it expired on 2026-01-01')
  await expect(page.getByRole('textbox', { name: 'Server' })).toHaveValue('https://hs.example.org')
})

test('mistakes are told before anything is sent', async ({ world }) => {
  const daemon = await world.daemon({ state: 'NeedsLogin' })
  const { page } = await world.app()
  await page.getByRole('textbox', { name: 'Server' }).fill('ftp://example.org')
  await page.getByRole('button', { name: 'Continue in browser' }).click()
  await expect(page.getByText('Enter a web address')).toBeVisible()
  await page.getByRole('textbox', { name: 'Server' }).fill('http://control.lan')
  await expect(page.getByText('not protected while you sign in')).toBeVisible()
  await page.getByLabel('Auth key', { exact: true }).fill('tskey-auth-****')
  await page.getByRole('button', { name: 'Join with key' }).click()
  await expect(page.getByText('Copy the whole key')).toBeVisible()
  expect(daemon.requests('POST', 'start')).toEqual([])
})

test('U2: join in the browser, with link, code and cancel', async ({ world }) => {
  const daemon = await world.daemon({ state: 'NeedsLogin' })
  const { app, page, complaints } = await world.app()
  const opened = await catchOpenedPages(app)
  const window = new AppWindow(page)
  await page.getByRole('button', { name: 'Continue in browser' }).click()
  await expect(page.getByRole('heading', { name: 'Finish in your browser' })).toBeVisible()
  await expect(page.getByRole('img', { name: 'Code that holds the sign-in link' })).toBeVisible()
  await expect(page.locator('.command code')).toHaveText(daemon.signInUrl)
  expect(await opened()).toEqual([daemon.signInUrl])
  await page.getByRole('button', { name: 'Open page again' }).click()
  await expect.poll(opened).toHaveLength(2)
  await page.getByRole('button', { name: 'Cancel' }).click()
  await expect(page.getByRole('heading', { name: 'Join your network' })).toBeVisible()
  await page.getByRole('button', { name: 'Continue in browser' }).click()
  await expect(page.getByRole('heading', { name: 'Finish in your browser' })).toBeVisible()
  daemon.finishSignIn()
  await expect(window.device('nas')).toBeVisible()
  expect(complaints).toEqual([])
})

test('a sign-in page that is not the web is not opened', async ({ world }) => {
  const daemon = await world.daemon({ state: 'NeedsLogin' })
  daemon.signInUrl = 'file:///etc/passwd'
  const { app, page } = await world.app()
  const opened = await catchOpenedPages(app)
  await page.getByRole('button', { name: 'Continue in browser' }).click()
  await page.getByRole('button', { name: 'Open page again' }).click()
  await expect(page.getByText('That is not allowed.')).toBeVisible()
  expect(await opened()).toEqual([])
})

test('sign out asks first, then forgets the devices', async ({ world }) => {
  const daemon = await world.daemon()
  const { page } = await world.app()
  const window = new AppWindow(page)
  await expect(window.device('nas')).toBeVisible()
  await window.go('This device')
  await page.getByRole('button', { name: 'Sign out' }).click()
  const dialog = page.getByRole('alertdialog', { name: 'Sign out of home.example?' })
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  expect(daemon.requests('POST', 'logout')).toEqual([])
  await page.getByRole('button', { name: 'Sign out' }).click()
  await dialog.getByRole('button', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading', { name: 'Join your network' })).toBeVisible()
  await expect(page.getByText('nas', { exact: true })).toHaveCount(0)
})
