/**
 * The one window: made when it is wanted, hidden when it is closed, its renderer given back a minute later. Says when
 * it starts and stops being looked at, so that nobody works for a hidden picture.
 */
import { BrowserWindow, screen, type BrowserWindow as Window } from 'electron'
import { log } from '../log.ts'
import { APP_PAGE } from './app-protocol.ts'

export interface WindowPlace {
  x?: number | undefined
  y?: number | undefined
  width: number
  height: number
}

export interface MainWindowOptions {
  preloadFile: string
  icon: string
  destroyAfterMs: number
  place: WindowPlace | undefined
  onPlace: (place: WindowPlace) => void
  onWatched: (isWatched: boolean) => void
  /** The person closes the window; answers whether it may hide now. */
  mayHide: () => boolean
}

const DEFAULT_PLACE: WindowPlace = { width: 1040, height: 680 }
/** Reloading a page that dies again at once would never end. */
const MAX_CRASHES_PER_MINUTE = 3

export class MainWindow {
  readonly #options: MainWindowOptions
  #window: Window | undefined
  #place: WindowPlace | undefined
  #destroyTimer: ReturnType<typeof setTimeout> | undefined
  #crashes: number[] = []
  #isQuitting = false

  constructor(options: MainWindowOptions) {
    this.#options = options
    this.#place = options.place
  }

  get page(): Electron.WebContents | undefined {
    return this.#window?.webContents
  }

  get isVisible(): boolean {
    return this.#window?.isVisible() === true && !this.#window.isMinimized()
  }

  show(): void {
    clearTimeout(this.#destroyTimer)
    this.#window ??= this.#open()
    if (this.#window.isMinimized()) this.#window.restore()
    this.#window.show()
    this.#window.focus()
  }

  hide(): void {
    this.#window?.hide()
  }

  /** From here on closing is closing. */
  quit(): void {
    this.#isQuitting = true
    clearTimeout(this.#destroyTimer)
  }

  #open(): Window {
    const window = new BrowserWindow({
      ...fitting(this.#place ?? DEFAULT_PLACE),
      minWidth: 360,
      minHeight: 480,
      show: false,
      title: 'Pintail',
      icon: this.#options.icon,
      autoHideMenuBar: true,
      webPreferences: {
        preload: this.#options.preloadFile,
        sandbox: true,
        contextIsolation: true,
        nodeIntegration: false,
        webviewTag: false,
        spellcheck: false,
      },
    })
    window.removeMenu()
    window.on('page-title-updated', (event) => event.preventDefault())
    window.on('show', () => this.#changed())
    window.on('restore', () => this.#changed())
    window.on('minimize', () => this.#changed())
    window.on('hide', () => this.#hidden())
    window.on('close', (event) => {
      this.#rememberPlace(window)
      if (this.#isQuitting) return
      event.preventDefault()
      if (this.#options.mayHide()) window.hide()
    })
    window.on('closed', () => {
      this.#window = undefined
      this.#changed()
    })
    window.webContents.on('render-process-gone', (_event, { reason }) => this.#recover(window, reason))
    window.loadURL(APP_PAGE).catch((error: unknown) => {
      if (!window.isDestroyed()) log('error', 'the page did not load', error)
    })
    return window
  }

  #changed(): void {
    this.#options.onWatched(this.isVisible)
  }

  #hidden(): void {
    this.#changed()
    clearTimeout(this.#destroyTimer)
    this.#destroyTimer = setTimeout(() => this.#window?.destroy(), this.#options.destroyAfterMs)
  }

  #rememberPlace(window: Window): void {
    this.#place = window.getNormalBounds()
    this.#options.onPlace(this.#place)
  }

  #recover(window: Window, reason: string): void {
    if (reason === 'clean-exit' || this.#isQuitting) return
    const now = Date.now()
    this.#crashes = [...this.#crashes.filter((at) => now - at < 60_000), now]
    log('error', `the page's process ended: ${reason}`)
    if (this.#crashes.length > MAX_CRASHES_PER_MINUTE) window.destroy()
    else if (!window.isDestroyed()) window.reload()
  }
}

/** A place from yesterday may lie on a screen that is gone. */
function fitting(place: WindowPlace): Electron.BrowserWindowConstructorOptions {
  const { x, y, width, height } = place
  if (x === undefined || y === undefined) return { width, height }
  const area = screen.getDisplayMatching({ x, y, width, height }).workArea
  const isInside =
    x < area.x + area.width - 80 && x + width > area.x + 80 && y >= area.y && y < area.y + area.height - 40
  return isInside ? { x, y, width, height } : { width, height }
}
