/**
 * The running app: daemon link → one view → window and tray; their wishes → commands. Holds the last view, so that a
 * new renderer starts with a whole picture.
 */
import { join } from 'node:path'
import { app, clipboard, Notification, nativeTheme, powerMonitor, shell } from 'electron'
import { LocalClient } from '../src-client/local-client.ts'
import type { AppPhase, AppProblem, AppSettings } from '../src-contract/app/app-state.ts'
import type { ExitChoice } from '../src-contract/app/exit.ts'
import { type AppPush, type AppView, changesBetween } from '../src-contract/app/mirror.ts'
import type { BridgePushes } from '../src-contract/bridge.ts'
import { closestLanguage } from '../src-contract/text/languages.ts'
import { AppError } from './app-error.ts'
import { type CallHandlers, problemFrom, push, serveCalls } from './bridge.ts'
import { Commands } from './commands.ts'
import { runAsAdmin } from './daemon/run-as-admin.ts'
import { daemonStart, thisMachine } from './daemon/start-plan.ts'
import { checkExit, chooseExit, setAllowLan, setTakesOver } from './exit-commands.ts'
import type { Flags } from './flags.ts'
import { appView } from './link/app-view.ts'
import { DaemonLink } from './link/daemon-link.ts'
import { log } from './log.ts'
import { answerChange, applyEdit, explain, previewEdit, readNetwork } from './network-commands.ts'
import { mayOpenSignIn } from './ping-and-sign-in.ts'
import { SettingsFile } from './settings-file.ts'
import { AppTray } from './tray/tray.ts'
import type { TrayAction } from './tray/tray-menu.ts'
import { hasTrayHost } from './tray/tray-watcher.ts'
import { serveApp } from './window/app-protocol.ts'
import { lockDown } from './window/lockdown.ts'
import { takeScreenshot } from './window/screenshot.ts'
import { MainWindow } from './window/window.ts'
import { type Words, wordsFor } from './words.ts'

export interface AppPlaces {
  socketPath: string
  rendererFolder: string
  preloadFile: string
  assetFolder: string
  appFolder: string
}

/** Changes are sent to a visible window at most this often. */
const PUSH_EVERY_MS = 250
const RECENT_EXITS = 8

export async function runApp(flags: Flags, places: AppPlaces): Promise<void> {
  lockDown()
  serveApp(places.rendererFolder)
  const hasTray = await hasTrayHost()
  const running = new RunningApp(flags, places, hasTray)
  running.start()
}

class RunningApp {
  readonly #flags: Flags
  readonly #places: AppPlaces
  #hasTray: boolean
  readonly #settings: SettingsFile
  readonly #link: DaemonLink
  readonly #commands: Commands
  readonly #window: MainWindow
  #view: AppView
  #words: Words
  #tray: AppTray | undefined
  /** What the renderer has; undefined while there is none. */
  #sent: { view: AppView; rev: number } | undefined
  #pushTimer: ReturnType<typeof setTimeout> | undefined
  #lastPushMs = 0
  #wantsSignInPage = false
  #goTo: BridgePushes['navigate'] | undefined
  #onPainted: (() => void) | undefined

  constructor(flags: Flags, places: AppPlaces, hasTray: boolean) {
    this.#flags = flags
    this.#places = places
    this.#hasTray = hasTray
    this.#settings = new SettingsFile(join(app.getPath('userData'), 'settings.json'))
    this.#link = new DaemonLink(new LocalClient({ socketPath: places.socketPath }), () => this.#changed())
    this.#commands = new Commands(this.#link, () => this.#changed())
    this.#view = this.#makeView(undefined)
    this.#words = wordsFor(this.#view.state.settings)
    this.#window = new MainWindow({
      preloadFile: places.preloadFile,
      icon: join(places.assetFolder, 'icon.png'),
      destroyAfterMs: flags.destroyWindowAfterMs,
      place: this.#settings.settings.window,
      onPlace: (window) => this.#settings.set({ window }),
      onWatched: (isWatched) => this.#watched(isWatched),
      mayHide: () => this.#mayHide(),
    })
  }

  start(): void {
    nativeTheme.themeSource = this.#settings.settings.theme
    serveCalls(this.#handlers())
    app.on('second-instance', () => this.#window.show())
    app.on('activate', () => this.#window.show())
    app.on('window-all-closed', () => undefined) // the app lives on in the tray
    app.on('before-quit', () => this.#window.quit())
    app.on('will-quit', () => this.#close())
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => app.quit())
    powerMonitor.on('resume', () => this.#wokenUp())
    // Made whether or not somebody shows it now: a panel may start after us.
    const icons = join(this.#places.assetFolder, 'tray')
    this.#tray = new AppTray(icons, this.#view, this.#words, (action) => this.#do(action))
    this.#link.start()
    if (this.#flags.screenshotFile !== undefined) {
      const painted = new Promise<void>((resolve) => {
        this.#onPainted = resolve
      })
      takeScreenshot(this.#window, painted, this.#flags.screenshotFile)
    } else if (!this.#flags.isHidden) this.#window.show()
  }

  #wokenUp(): void {
    this.#link.retry()
    this.#link.refresh()
  }

  async #lookForTray(): Promise<void> {
    const hasTray = await hasTrayHost()
    if (hasTray === this.#hasTray) return
    this.#hasTray = hasTray
    this.#changed()
  }

  #close(): void {
    clearTimeout(this.#pushTimer)
    this.#link.close()
    this.#tray?.close()
  }

  #appSettings(): AppSettings {
    const { language, theme, trayStyle, whenClosed } = this.#settings.settings
    return {
      language: this.#flags.language ?? language,
      systemLanguage: closestLanguage(app.getPreferredSystemLanguages()),
      theme,
      trayStyle,
      whenClosed,
    }
  }

  #makeView(before: AppView | undefined): AppView {
    const { link, lostAt, problem, mirror, status, paths, features } = this.#link.state
    return appView({
      daemon: { socketPath: this.#places.socketPath, version: mirror.version, features, link, lostAt },
      linkProblem: problem,
      mirror,
      status,
      paths,
      pings: this.#commands.pings,
      settings: this.#appSettings(),
      hasTray: this.#hasTray,
      recentExits: this.#settings.settings.recentExits,
      nowMs: Date.now(),
      before,
    })
  }

  #changed(): void {
    const before = this.#view.state
    this.#view = this.#makeView(this.#view)
    this.#rememberExit()
    this.#tellBlocked(before.phase)
    this.#tray?.show(this.#view, this.#words)
    this.#schedulePush()
    const { signInUrl } = this.#view.state
    if (this.#wantsSignInPage && signInUrl !== '' && signInUrl !== before.signInUrl) {
      this.#wantsSignInPage = false
      this.#openSignInPage().catch((error: unknown) => log('warn', 'the sign-in page was not opened', error))
    }
  }

  #rememberExit(): void {
    const { now } = this.#view.state.exit
    const { recentExits } = this.#settings.settings
    if (now.kind !== 'on' || recentExits[0] === now.id) return
    const others = recentExits.filter((id) => id !== now.id)
    this.#settings.set({ recentExits: [now.id, ...others].slice(0, RECENT_EXITS) })
  }

  /** Whoever looks at the window sees it there. */
  #tellBlocked(before: AppPhase): void {
    const { phase, exit } = this.#view.state
    if (phase !== 'blocked' || before === 'blocked' || exit.now.kind !== 'blocked' || this.#window.isVisible) return
    const { t } = this.#words
    this.#notice(t('exit.blockedTitle'), t(`exitBlocked.${exit.now.why}`, { name: exit.now.name }), () =>
      this.#navigate({ to: 'exit-node' }),
    )
  }

  #chooseExit(choice: ExitChoice): Promise<void> {
    const isOurs = this.#link.state.features !== null
    return chooseExit(this.#link.client, choice, { state: this.#view.state.exit, isOurs })
  }

  /** Without a window nobody sees the check: only what is wrong is told. */
  async #chooseExitOrTell(choice: ExitChoice): Promise<void> {
    await this.#chooseExit(choice)
    if (choice.kind === 'off') return
    const { node } = await checkExit(this.#link.client, () => this.#link.state.mirror)
    const { now } = this.#view.state.exit
    if (node.kind === 'silent' && now.kind !== 'off')
      this.#notice(this.#words.t('exit.failedNotice', { name: now.name }), this.#words.t('exit.failedNoticeText'))
  }

  #schedulePush(): void {
    if (this.#pushTimer !== undefined || this.#sent === undefined || !this.#window.isVisible) return
    const waitMs = Math.max(0, this.#lastPushMs + PUSH_EVERY_MS - performance.now())
    this.#pushTimer = setTimeout(() => {
      this.#pushTimer = undefined
      this.#pushNow()
    }, waitMs)
  }

  #pushNow(): void {
    const page = this.#window.page
    if (page === undefined || this.#sent === undefined) return
    const change = changesBetween(this.#sent.view, this.#view, this.#sent.rev + 1)
    if (change === undefined) return
    this.#sent = { view: this.#view, rev: change.rev }
    this.#lastPushMs = performance.now()
    push(page, 'state', change)
  }

  #snapshot(): AppPush {
    const rev = (this.#sent?.rev ?? 0) + 1
    this.#sent = { view: this.#view, rev }
    if (this.#goTo !== undefined && this.#window.page !== undefined) {
      const goTo = this.#goTo
      this.#goTo = undefined
      setImmediate(() => this.#navigate(goTo))
    }
    return { kind: 'snapshot', rev, state: this.#view.state, devices: [...this.#view.devices.values()] }
  }

  #watched(isWatched: boolean): void {
    if (this.#window.page === undefined) this.#sent = undefined
    this.#link.setWatched(isWatched)
    if (!isWatched) return
    this.#schedulePush()
    void this.#lookForTray()
  }

  /** With a tray closing hides; without one the person decides, because the window is all there is. */
  #mayHide(): boolean {
    if (this.#hasTray) return true
    const { whenClosed } = this.#settings.settings
    if (whenClosed === 'keep') return true
    if (whenClosed === 'quit') app.quit()
    else if (this.#window.page !== undefined) push(this.#window.page, 'close-asked', {})
    return false
  }

  #navigate(to: BridgePushes['navigate']): void {
    this.#window.show()
    if (this.#sent === undefined || this.#window.page === undefined) this.#goTo = to
    else push(this.#window.page, 'navigate', to)
  }

  #setSettings(part: Parameters<CallHandlers['settings.set']>[0]): void {
    const given = Object.entries(part).filter(([, value]) => value !== undefined)
    this.#settings.set(Object.fromEntries(given))
    nativeTheme.themeSource = this.#settings.settings.theme
    this.#view = this.#makeView(this.#view)
    this.#words = wordsFor(this.#view.state.settings)
    this.#changed()
  }

  async #openSignInPage(): Promise<void> {
    const { signInUrl, controlUrl } = this.#view.state
    const problem = mayOpenSignIn(signInUrl, controlUrl)
    if (problem !== undefined) throw new AppError(problem.code, problem.message)
    await shell.openExternal(signInUrl)
  }

  #handlers(): CallHandlers {
    const plan = () => daemonStart(thisMachine(this.#places.socketPath, this.#places.appFolder))
    return {
      'state.watch': () => this.#snapshot(),
      'connection.set': ({ on }) => this.#commands.setConnected(on),
      'signIn.browser': async ({ controlUrl }) => {
        this.#wantsSignInPage = true
        await this.#commands.signInByBrowser(controlUrl)
      },
      'signIn.key': ({ controlUrl, key }) => this.#commands.signInByKey(controlUrl, key),
      'signIn.openPage': () => this.#openSignInPage(),
      'signIn.cancel': () => {
        this.#wantsSignInPage = false
        return this.#commands.cancelSignIn()
      },
      signOut: () => this.#commands.signOut(),
      'device.ping': ({ id, type }) => this.#commands.ping(id, type),
      'exit.use': ({ choice }) => this.#chooseExit(choice),
      'exit.allowLan': ({ on }) => setAllowLan(this.#link.client, on),
      'exit.takeOver': ({ on }) => setTakesOver(this.#link.client, on, this.#view.state.exit),
      'exit.check': () => checkExit(this.#link.client, () => this.#link.state.mirror),
      'network.read': () => readNetwork(this.#link.client),
      'network.preview': ({ edit }) => previewEdit(this.#link.client, edit),
      'network.apply': ({ edit, safely }) => applyEdit(this.#link.client, edit, { safely }),
      'network.answer': ({ id, keep }) => answerChange(this.#link.client, id, keep),
      'route.explain': ({ to }) => explain(this.#link.client, to),
      'clipboard.copy': ({ text }) => clipboard.writeText(text),
      'daemon.startPlan': () => {
        const { command, run } = plan()
        return { command, canRun: run !== undefined }
      },
      'daemon.start': async () => {
        const { run } = plan()
        if (run === undefined) throw new AppError('not-allowed', '')
        await runAsAdmin(run)
        this.#link.retry()
      },
      'daemon.retry': () => this.#link.retry(),
      'settings.set': (part) => this.#setSettings(part),
      'window.closeAnswer': ({ choice, remember }) => {
        if (remember) this.#setSettings({ whenClosed: choice })
        if (choice === 'quit') app.quit()
        else this.#window.hide()
      },
      'about.facts': () => ({
        version: app.getVersion(),
        electron: process.versions.electron ?? '',
        chromium: process.versions.chrome ?? '',
        node: process.versions.node,
      }),
      'window.painted': () => this.#onPainted?.(),
    }
  }

  #do(action: TrayAction): void {
    switch (action.kind) {
      case 'open':
        this.#window.show()
        return
      case 'open-settings':
        this.#navigate({ to: 'settings' })
        return
      case 'open-devices':
        this.#navigate({ to: 'devices', ...(action.deviceId === undefined ? {} : { deviceId: action.deviceId }) })
        return
      case 'open-exit-nodes':
        this.#navigate({ to: 'exit-node' })
        return
      case 'use-exit':
        this.#orNotice(this.#chooseExitOrTell(action.choice))
        return
      case 'allow-lan':
        this.#orNotice(setAllowLan(this.#link.client, action.on))
        return
      case 'copy':
        clipboard.writeText(action.text)
        return
      case 'set-connected':
        this.#orNotice(this.#commands.setConnected(action.on))
        return
      case 'start-service':
        // The window shows the command too, in case nobody can be asked for the password.
        this.#window.show()
        return
      case 'ping':
        this.#orNotice(this.#pingNotice(action.deviceId))
        return
      case 'quit':
        app.quit()
    }
  }

  async #pingNotice(id: string): Promise<void> {
    const name = this.#view.devices.get(id)?.name ?? ''
    try {
      const { latencyMs, via } = await this.#commands.ping(id, 'disco')
      const latency = this.#words.latency(latencyMs)
      this.#notice(this.#words.t('ping.notice', { name, latency, via: this.#words.path(via) }))
    } catch (error) {
      const problem = problemFrom(error, 'ping')
      this.#notice(this.#words.t('ping.noticeFailed', { name }), this.#problemText(problem))
    }
  }

  #orNotice(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.#notice(this.#words.t('problem.title'), this.#problemText(problemFrom(error, 'a tray action'))),
    )
  }

  #problemText({ code, message }: AppProblem): string {
    return code === 'daemon' || code === 'server' ? message : this.#words.t(`problem.${code}`)
  }

  #notice(title: string, body = '', onClick = () => this.#window.show()): void {
    if (!Notification.isSupported()) return
    const notice = new Notification({ title, body, icon: join(this.#places.assetFolder, 'icon.png') })
    notice.on('click', onClick)
    notice.show()
  }
}
