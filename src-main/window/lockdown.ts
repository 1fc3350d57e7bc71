/** Deny by default, for every page of this process: permissions, navigation, new windows, embedded views. */
import { app, session } from 'electron'
import { log } from '../log.ts'
import { APP_ORIGIN } from './app-protocol.ts'

export function lockDown(): void {
  const pages = session.defaultSession
  pages.setPermissionRequestHandler((_page, _permission, answer) => answer(false))
  pages.setPermissionCheckHandler(() => false)
  pages.setDevicePermissionHandler(() => false)
  pages.on('will-download', (event) => event.preventDefault())
  // Nothing of ours is on the network: whatever asks for it is refused before it leaves.
  pages.webRequest.onBeforeRequest(
    { urls: ['http://*/*', 'https://*/*', 'ws://*/*', 'wss://*/*', 'file://*/*'] },
    (_request, answer) => answer({ cancel: true }),
  )
  app.on('web-contents-created', (_event, page) => {
    page.setWindowOpenHandler(() => ({ action: 'deny' }))
    page.on('will-attach-webview', (event) => event.preventDefault())
    page.on('will-frame-navigate', (event) => {
      if (event.url.startsWith(`${APP_ORIGIN}/`)) return
      log('warn', 'a page tried to navigate away')
      event.preventDefault()
    })
  })
}
