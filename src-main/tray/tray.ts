/** The tray icon: shows what `tray-menu.ts` says, sends a new menu only when it differs, and not more often than needed. */
import { join } from 'node:path'
import { Menu, type MenuItemConstructorOptions, nativeImage, Tray } from 'electron'
import type { TrayStyle } from '../../src-contract/app/app-state.ts'
import { type AppView, isSame } from '../../src-contract/app/mirror.ts'
import type { Words } from '../words.ts'
import { statusLine, type TrayAction, type TrayRow, type TrayShape, trayMenu, trayShape } from './tray-menu.ts'

const MENU_DEBOUNCE_MS = 250

export class AppTray {
  readonly #folder: string
  readonly #onAction: (action: TrayAction) => void
  readonly #tray: Tray
  #shown: { shape: TrayShape; style: TrayStyle } | undefined
  #menu: readonly TrayRow[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #latest: { view: AppView; words: Words } | undefined

  constructor(iconFolder: string, view: AppView, words: Words, onAction: (action: TrayAction) => void) {
    this.#folder = iconFolder
    this.#onAction = onAction
    this.#tray = new Tray(this.#image(trayShape(view.state.phase), view.state.settings.trayStyle))
    this.#tray.on('click', () => onAction({ kind: 'open' }))
    this.#latest = { view, words }
    this.#draw()
  }

  show(view: AppView, words: Words): void {
    this.#latest = { view, words }
    this.#timer ??= setTimeout(() => this.#draw(), MENU_DEBOUNCE_MS)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#tray.destroy()
  }

  #draw(): void {
    this.#timer = undefined
    if (this.#latest === undefined || this.#tray.isDestroyed()) return
    const { view, words } = this.#latest
    const wanted = { shape: trayShape(view.state.phase), style: view.state.settings.trayStyle }
    if (!isSame(wanted, this.#shown)) {
      this.#shown = wanted
      this.#tray.setImage(this.#image(wanted.shape, wanted.style))
    }
    this.#tray.setToolTip(words.t('tray.tooltip', { phase: statusLine(view.state, words) }))
    const menu = trayMenu(view, words)
    if (isSame(menu, this.#menu)) return
    this.#menu = menu
    this.#tray.setContextMenu(Menu.buildFromTemplate(menu.map((row) => this.#item(row))))
  }

  #item(row: TrayRow): MenuItemConstructorOptions {
    if (row.kind === 'separator') return { type: 'separator' }
    const { label, action, submenu, mark } = row
    if (submenu !== undefined) return { label, submenu: submenu.map((inner) => this.#item(inner)) }
    const marked: MenuItemConstructorOptions =
      mark === undefined ? {} : { type: mark.type === 'radio' ? 'radio' : 'checkbox', checked: mark.isOn }
    return action === undefined
      ? { label, ...marked, enabled: false }
      : { label, ...marked, click: () => this.#onAction(action) }
  }

  #image(shape: TrayShape, style: TrayStyle): Electron.NativeImage {
    const file = (scale: string) => join(this.#folder, `${style}-${shape}${scale}.png`)
    const image = nativeImage.createFromPath(file(''))
    image.addRepresentation({ scaleFactor: 2, buffer: nativeImage.createFromPath(file('@2x')).toPNG() })
    return image
  }
}
