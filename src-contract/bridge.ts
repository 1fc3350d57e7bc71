/**
 * The one door between renderer and main: a closed table of calls and pushes. The main process checks each input
 * against a schema (`src-main/bridge-inputs.ts`) and the sender's frame; the preload offers these names and no others.
 */
import type { AppProblem, Language, Theme, TrayStyle } from './app/app-state.ts'
import type { ExitCheck, ExitChoice } from './app/exit.ts'
import type { AppPush } from './app/mirror.ts'
import type { ChangeView, Explained, NetworkEdit, NetworkView } from './app/network.ts'
import type { PingType } from './localapi/ping.ts'

export interface PingAnswer {
  latencyMs: number
  /** How the answer came. */
  via: { kind: 'direct' | 'peer-relay' | 'relay' | 'here' | 'unknown'; endpoint: string; relay: string }
}

export interface StartPlan {
  /** What to type in a terminal. */
  command: string
  /** Whether the app can run it after asking for the password. */
  canRun: boolean
}

export interface AboutFacts {
  version: string
  electron: string
  chromium: string
  node: string
}

/** Name → input and output. Every call can fail with an {@link AppProblem}. */
export interface BridgeCalls {
  /** Answers with the current snapshot; pushes follow. */
  'state.watch': { input: undefined; output: AppPush }
  'connection.set': { input: { on: boolean }; output: undefined }
  'signIn.browser': { input: { controlUrl: string }; output: undefined }
  'signIn.key': { input: { controlUrl: string; key: string }; output: undefined }
  'signIn.openPage': { input: undefined; output: undefined }
  'signIn.cancel': { input: undefined; output: undefined }
  signOut: { input: undefined; output: undefined }
  'device.ping': { input: { id: string; type: PingType }; output: PingAnswer }
  'exit.use': { input: { choice: ExitChoice }; output: undefined }
  'exit.allowLan': { input: { on: boolean }; output: undefined }
  /** Whether another exit node takes over when the one in use fails. */
  'exit.takeOver': { input: { on: boolean }; output: undefined }
  'exit.check': { input: undefined; output: ExitCheck }
  'network.read': { input: undefined; output: NetworkView }
  /** What it would do; null: not with this daemon. */
  'network.preview': { input: { edit: NetworkEdit }; output: ChangeView | null }
  /** `safely`: taken back by itself unless it is confirmed. */
  'network.apply': { input: { edit: NetworkEdit; safely: boolean }; output: undefined }
  'network.answer': { input: { id: string; keep: boolean }; output: undefined }
  'route.explain': { input: { to: string }; output: Explained | null }
  'clipboard.copy': { input: { text: string }; output: undefined }
  'daemon.startPlan': { input: undefined; output: StartPlan }
  'daemon.start': { input: undefined; output: undefined }
  'daemon.retry': { input: undefined; output: undefined }
  'settings.set': {
    input: {
      language?: Language | 'system' | undefined
      theme?: Theme | undefined
      trayStyle?: TrayStyle | undefined
      whenClosed?: 'ask' | 'keep' | 'quit' | undefined
    }
    output: undefined
  }
  'window.closeAnswer': { input: { choice: 'keep' | 'quit'; remember: boolean }; output: undefined }
  'about.facts': { input: undefined; output: AboutFacts }
  /** The first list is on the screen. */
  'window.painted': { input: undefined; output: undefined }
}
export type CallName = keyof BridgeCalls
export type CallInput<K extends CallName> = BridgeCalls[K]['input']
export type CallOutput<K extends CallName> = BridgeCalls[K]['output']
export type CallResult<K extends CallName> = { ok: true; value: CallOutput<K> } | { ok: false; error: AppProblem }

/** The same names as a value; the compiler holds both lists equal. */
const calls: { [K in CallName]: true } = {
  'state.watch': true,
  'connection.set': true,
  'signIn.browser': true,
  'signIn.key': true,
  'signIn.openPage': true,
  'signIn.cancel': true,
  signOut: true,
  'device.ping': true,
  'exit.use': true,
  'exit.allowLan': true,
  'exit.takeOver': true,
  'exit.check': true,
  'network.read': true,
  'network.preview': true,
  'network.apply': true,
  'network.answer': true,
  'route.explain': true,
  'clipboard.copy': true,
  'daemon.startPlan': true,
  'daemon.start': true,
  'daemon.retry': true,
  'settings.set': true,
  'window.closeAnswer': true,
  'about.facts': true,
  'window.painted': true,
}
export const callNames = Object.keys(calls) as CallName[]

export interface BridgePushes {
  state: AppPush
  /** Somewhere to go: a tray row or a notification was clicked. */
  navigate: { to: 'devices' | 'exit-node' | 'routes' | 'this-device' | 'settings'; deviceId?: string }
  /** The window was asked to close and there is no tray to find it again. */
  'close-asked': Record<string, never>
}
export type PushName = keyof BridgePushes
const pushes: { [K in PushName]: true } = { state: true, navigate: true, 'close-asked': true }
export const pushNames = Object.keys(pushes) as PushName[]

/** What the preload puts on `window.pintail`. */
export interface Bridge {
  call<K extends CallName>(name: K, input: CallInput<K>): Promise<CallResult<K>>
  on<K extends PushName>(name: K, listener: (push: BridgePushes[K]) => void): () => void
}

export function channelOf(kind: 'call' | 'push', name: string): string {
  return `pintail:${kind}:${name}`
}
