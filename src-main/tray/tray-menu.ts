/** The tray's menu and icon as values: what they are for a state. Nothing here knows Electron. `ux.md` 2.2, 3.5. */
import { type AppPhase, type AppState, type Device, switchAction } from '../../src-contract/app/app-state.ts'
import type { ExitChoice } from '../../src-contract/app/exit.ts'
import type { AppView } from '../../src-contract/app/mirror.ts'
import type { Words } from '../words.ts'
import { exitRows } from './exit-rows.ts'

export type TrayAction =
  | { kind: 'open' }
  | { kind: 'open-settings' }
  | { kind: 'open-devices'; deviceId?: string }
  | { kind: 'open-exit-nodes' }
  | { kind: 'set-connected'; on: boolean }
  | { kind: 'use-exit'; choice: ExitChoice }
  | { kind: 'allow-lan'; on: boolean }
  | { kind: 'start-service' }
  | { kind: 'copy'; text: string; name: string }
  | { kind: 'ping'; deviceId: string }
  | { kind: 'quit' }

export type TrayRow =
  | { kind: 'separator' }
  | { kind: 'row'; label: string; action?: TrayAction; submenu?: readonly TrayRow[]; mark?: TrayMark }
/** One of several is on (`radio`), or this one is (`check`). */
export type TrayMark = { type: 'radio' | 'check'; isOn: boolean }

export const trayShapes = [
  'off',
  'starting',
  'on',
  'exit',
  'attention',
  'blocked',
  'signed-out',
  'problem',
  'portal',
] as const
export type TrayShape = (typeof trayShapes)[number]

/** Deep menus and long ones do not work everywhere. */
const MAX_DEVICE_ROWS = 9

export function trayShape(phase: AppPhase): TrayShape {
  switch (phase) {
    case 'not-installed':
    case 'unreachable':
    case 'in-use-by-other':
      return 'problem'
    case 'signed-out':
    case 'needs-approval':
      return 'signed-out'
    case 'off':
      return 'off'
    case 'starting':
      return 'starting'
    case 'blocked':
      return 'blocked'
    case 'captive-portal':
      return 'portal'
    case 'attention':
      return 'attention'
    case 'on-exit-node':
      return 'exit'
    case 'on':
      return 'on'
  }
}

export function trayMenu({ state, devices }: AppView, words: Words): TrayRow[] {
  const { t } = words
  const separator: TrayRow = { kind: 'separator' }
  const row = (label: string, action?: TrayAction, submenu?: readonly TrayRow[]): TrayRow => ({
    kind: 'row',
    label,
    ...(action === undefined ? {} : { action }),
    ...(submenu === undefined ? {} : { submenu }),
  })
  const isUp = state.daemon.link === 'connected' && state.self !== null && state.phase !== 'signed-out'
  const address = state.self?.addresses[0]
  return [
    row(statusLine(state, words), { kind: 'open' }),
    ...primaryRow(state, words, row),
    separator,
    ...(isUp && state.phase !== 'off' ? exitRows(state, words) : []),
    ...(isUp && address !== undefined
      ? [row(t('tray.thisDevice', { address }), { kind: 'copy', text: address, name: state.self?.name ?? '' })]
      : []),
    ...(isUp ? [row(t('tray.devices'), undefined, deviceRows([...devices.values()], words, row)), separator] : []),
    row(t('tray.open'), { kind: 'open' }),
    row(t('tray.settings'), { kind: 'open-settings' }),
    row(t('tray.quit'), { kind: 'quit' }),
  ]
}

type RowMaker = (label: string, action?: TrayAction, submenu?: readonly TrayRow[]) => TrayRow

export function statusLine(state: AppState, { t }: Words): string {
  const { now } = state.exit
  const isOnExit = state.phase === 'on-exit-node' && now.kind === 'on'
  const phase = isOnExit ? t('exit.onVia', { name: now.name }) : t(`phase.${state.phase}`)
  return state.network !== '' && state.daemon.link === 'connected' && state.phase !== 'signed-out'
    ? t('tray.statusOn', { phase, network: state.network })
    : phase
}

function primaryRow(state: AppState, { t }: Words, row: RowMaker): TrayRow[] {
  const action = switchAction(state.phase, state.wantRunning)
  if (action !== undefined)
    return [row(t(action.on ? 'switch.turnOn' : 'switch.turnOff'), { kind: 'set-connected', ...action })]
  if (state.phase === 'unreachable') return [row(t('tray.startService'), { kind: 'start-service' })]
  return state.phase === 'signed-out' ? [row(t('tray.signIn'), { kind: 'open' })] : []
}

function deviceRows(devices: readonly Device[], words: Words, row: RowMaker): TrayRow[] {
  const { t } = words
  if (devices.length === 0) return [row(t('tray.noDevices'))]
  const shown = devices.toSorted(words.compareNames).slice(0, MAX_DEVICE_ROWS)
  return [
    ...shown.map((device) =>
      row(menuText(device.online ? device.name : t('tray.offlineDevice', { name: device.name })), undefined, [
        ...device.addresses.map((address) =>
          row(t('tray.copyAddress', { address }), { kind: 'copy', text: address, name: device.name }),
        ),
        ...(device.online ? [row(t('ping.action'), { kind: 'ping', deviceId: device.id })] : []),
      ]),
    ),
    { kind: 'separator' },
    row(t('tray.allDevices'), { kind: 'open-devices' }),
  ]
}

/** `&` marks an access key in menus; names are other people's. */
export function menuText(name: string): string {
  return (name.length > 60 ? `${name.slice(0, 59)}…` : name).replaceAll('&', '&&')
}
