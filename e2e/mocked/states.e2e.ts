/** Each state of the daemon has a screen that says what is so and what to do. */
import { ipnStateNumber } from '../../src-contract/localapi/state.ts'
import { AppWindow } from '../pages/window.ts'
import { householdDaemon } from './fake-network.ts'
import { expect, test } from './world.ts'

test('daemon not running: the window says so, shows the command, and recovers by itself', async ({ world }) => {
  const { page, app } = await world.app()
  const window = new AppWindow(page)
  await expect(page.getByRole('heading', { name: 'The network service is not running' })).toBeVisible()
  await expect(page.getByText(world.socketPath).first()).toBeVisible()
  const command = page.locator('.command code')
  await expect(command).toContainText('pintaild')
  await expect(command).toContainText(`--socket ${world.socketPath}`)
  await page.locator('.command').getByRole('button', { name: 'Copy' }).click()
  expect(await app.evaluate(({ clipboard }) => clipboard.readText())).toBe(await command.textContent())
  await expect(window.toggle).toBeDisabled()
  await world.daemon()
  await expect(window.device('nas')).toBeVisible()
  await expect(window.stateWord).toHaveText('On')
})

test('daemon killed under the window: the app says so and recovers', async ({ world }) => {
  const daemon = await world.daemon()
  const { page } = await world.app()
  const window = new AppWindow(page)
  await expect(window.device('nas')).toBeVisible()
  await daemon.stop()
  await expect(page.getByRole('heading', { name: 'The network service is not running' })).toBeVisible()
  await expect(page.getByText('No answer since')).toBeVisible()
  await daemon.start()
  await expect(window.device('nas')).toBeVisible({ timeout: 5000 })
})

test('off at the start', async ({ world }) => {
  await world.daemon({ state: 'Stopped' })
  const { page } = await world.app()
  const window = new AppWindow(page)
  await expect(window.stateWord).toHaveText('Off')
  await expect(window.toggle).not.toBeChecked()
  await expect(page.locator('.device-grid.greyed')).toBeVisible()
})

test('connecting, waiting for approval, in use by another user', async ({ world }) => {
  const daemon = await world.daemon({ state: 'Starting', self: null, nodes: [] })
  const { page } = await world.app()
  const window = new AppWindow(page)
  await expect(page.getByRole('heading', { name: 'Connecting…' })).toBeVisible()
  await expect(window.toggle).toBeChecked()
  daemon.setState('NeedsMachineAuth')
  await expect(page.getByRole('heading', { name: 'Waiting for an administrator' })).toBeVisible()
  await expect(page.getByText('control.example.org')).toBeVisible()
  daemon.notify({ State: ipnStateNumber('InUseOtherUser'), ErrMessage: 'in use by mallory' })
  await expect(page.getByRole('heading', { name: 'Another user is using the network service' })).toBeVisible()
  await expect(page.getByText('in use by mallory')).toBeVisible()
})

test('attention: the worst notice is shown, the rest one click away', async ({ world }) => {
  const daemon = await world.daemon()
  const { page } = await world.app()
  const window = new AppWindow(page)
  await expect(window.stateWord).toHaveText('On')
  daemon.setHealth([
    { WarnableCode: 'update-available', Severity: 'low', Title: 'Update available', Text: 'Version 2 is there.' },
    { WarnableCode: 'no-derp', Severity: 'high', Title: 'No relay', Text: 'The relay does not answer.' },
  ])
  await expect(window.stateWord).toHaveText('On, needs attention')
  await expect(page.getByText('The relay does not answer.')).toBeVisible()
  await expect(page.getByText('Version 2 is there.')).toHaveCount(0)
  await page.getByRole('button', { name: '1 more' }).click()
  await expect(page.getByText('Version 2 is there.')).toBeVisible()
  daemon.setHealth([])
  await expect(window.stateWord).toHaveText('On')
})

test("the server's message is shown while connected and goes when it runs again", async ({ world }) => {
  const daemon = await world.daemon()
  const { page } = await world.app()
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  daemon.notify({ ErrMessage: 'key expired; talk to your admin' })
  await expect(page.getByRole('alert')).toContainText('key expired; talk to your admin')
  daemon.setState('Running')
  await expect(page.getByRole('alert')).toHaveCount(0)
})

test('a user without rights is told so', async ({ world }) => {
  await world.daemon({ isReadOnly: true })
  const { page } = await world.app()
  const window = new AppWindow(page)
  await expect(window.stateWord).toHaveText('On')
  await window.pressToggle()
  await expect(page.getByRole('status').filter({ hasText: 'may not change the network' })).toBeVisible()
  await expect(window.toggle).toBeChecked()
})

test('a daemon that talks nonsense is reported, not believed', async ({ world }) => {
  const { createServer } = await import('node:net')
  const server = createServer((socket) => {
    socket.on('error', () => undefined).resume()
    socket.end('HELLO I AM NOT HTTP\r\n\r\n')
  })
  await new Promise<void>((resolve) => server.listen(world.socketPath, resolve))
  const { page } = await world.app()
  await expect(page.getByRole('heading', { name: 'The network service is not running' })).toBeVisible()
  await expect(page.getByText('makes no sense')).toBeVisible()
  await new Promise((resolve) => server.close(resolve))
  const daemon = householdDaemon(world.socketPath)
  await daemon.start()
  await expect(new AppWindow(page).device('nas')).toBeVisible()
  await daemon.stop()
})
