/** Main's end of the bridge: answers only our own page's main frame, checks every input, turns errors into values. */
import { type IpcMainInvokeEvent, ipcMain, type WebContents } from 'electron'
import { isLocalApiError } from '../src-client/local-api-error.ts'
import type { AppProblem } from '../src-contract/app/app-state.ts'
import {
  type BridgePushes,
  type CallInput,
  type CallName,
  type CallOutput,
  type CallResult,
  callNames,
  channelOf,
  type PushName,
} from '../src-contract/bridge.ts'
import { AppError } from './app-error.ts'
import { callInputs } from './bridge-inputs.ts'
import { problemOf } from './link/daemon-link.ts'
import { log } from './log.ts'
import { APP_ORIGIN } from './window/app-protocol.ts'

type Answer<T> = [T] extends [undefined] ? unknown : T | Promise<T>
export type CallHandlers = { [K in CallName]: (input: CallInput<K>) => Answer<CallOutput<K>> }

export function serveCalls(handlers: CallHandlers): void {
  for (const name of callNames) serveCall(name, handlers[name] as (input: unknown) => unknown)
}

function serveCall(name: CallName, handler: (input: unknown) => unknown): void {
  ipcMain.handle(channelOf('call', name), async (event, input: unknown): Promise<CallResult<CallName>> => {
    if (!isOurPage(event)) return refused('the caller is not our page')
    const checked = callInputs[name].safeParse(input)
    if (!checked.success) return refused(`${name} was given something it does not take`)
    try {
      return { ok: true, value: (await handler(checked.data)) as never }
    } catch (error) {
      return { ok: false, error: problemFrom(error, name) }
    }
  })
}

function isOurPage({ senderFrame }: IpcMainInvokeEvent): boolean {
  if (senderFrame === null || senderFrame.parent !== null) return false
  return new URL(senderFrame.url).origin === APP_ORIGIN || senderFrame.url.startsWith(`${APP_ORIGIN}/`)
}

function refused(message: string): { ok: false; error: AppProblem } {
  return { ok: false, error: { code: 'not-allowed', message } }
}

export function problemFrom(error: unknown, during: string): AppProblem {
  if (error instanceof AppError) return error.problem
  if (isLocalApiError(error)) return problemOf(error)
  if (error instanceof DOMException && error.name === 'TimeoutError') return { code: 'timeout', message: '' }
  log('error', `${during} failed`, error)
  return { code: 'failed', message: error instanceof Error ? error.message : String(error) }
}

export function push<K extends PushName>(to: WebContents, name: K, value: BridgePushes[K]): void {
  if (!to.isDestroyed()) to.send(channelOf('push', name), value)
}
