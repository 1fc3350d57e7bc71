/**
 * A desktop's tray host in a few lines: owns org.kde.StatusNotifierWatcher on the session bus, reads registered icons
 * and their menus, and clicks rows as a desktop would. For tests.
 */
import dbus from '@homebridge/dbus-native'

const WATCHER = 'org.kde.StatusNotifierWatcher'
const WATCHER_PATH = '/StatusNotifierWatcher'
const ITEM = 'org.kde.StatusNotifierItem'
const MENU = 'com.canonical.dbusmenu'
const PROPERTIES = 'org.freedesktop.DBus.Properties'

interface Message {
  destination: string
  path: string
  interface: string
  member: string
  signature?: string
  body?: unknown[]
}

interface Bus {
  requestName(name: string, flags: number, done: (error: unknown, code: number) => void): void
  releaseName(name: string, done: (error: unknown) => void): void
  exportInterface(implementation: object, path: string, description: object): void
  invoke(message: Message, done: (error: unknown, ...results: unknown[]) => void): void
  connection: { end(): void }
}

export interface MenuRow {
  readonly id: number
  readonly label: string
  readonly isEnabled: boolean
  readonly isSeparator: boolean
  readonly rows: readonly MenuRow[]
}

export interface TrayPicture {
  readonly width: number
  readonly height: number
  /** ARGB bytes in hex: pictures compare as text. */
  readonly pixels: string
}

/** A DBus variant as the library hands it out: [signature tree, [value]]. */
type Variant = [unknown, [unknown]]

export class TrayHost {
  readonly #bus: Bus
  readonly #items: { sender: string; path: string }[] = []

  private constructor(bus: Bus) {
    this.#bus = bus
  }

  static async open(): Promise<TrayHost> {
    const bus = (dbus as unknown as { sessionBus(): Bus }).sessionBus()
    const host = new TrayHost(bus)
    host.#export()
    await new Promise<void>((resolve, reject) =>
      bus.requestName(WATCHER, 0, (error, code) =>
        error === null || error === undefined ? resolve() : reject(new Error(`no name: ${String(error)} ${code}`)),
      ),
    )
    return host
  }

  #export(): void {
    const watcher = {
      RegisteredStatusNotifierItems: [] as string[],
      IsStatusNotifierHostRegistered: true,
      ProtocolVersion: 0,
      RegisterStatusNotifierItem: (service: string, message?: { sender?: string }) => {
        const isPath = service.startsWith('/')
        this.#items.push({
          sender: isPath ? (message?.sender ?? '') : service,
          path: isPath ? service : '/StatusNotifierItem',
        })
      },
      RegisterStatusNotifierHost: () => undefined,
      emit: () => undefined,
    }
    this.#bus.exportInterface(watcher, WATCHER_PATH, {
      name: WATCHER,
      methods: {
        RegisterStatusNotifierItem: ['s', '', ['service'], []],
        RegisterStatusNotifierHost: ['s', '', ['service'], []],
      },
      properties: { RegisteredStatusNotifierItems: 'as', IsStatusNotifierHostRegistered: 'b', ProtocolVersion: 'i' },
      signals: { StatusNotifierItemRegistered: ['s', 'service'], StatusNotifierHostRegistered: [''] },
    })
  }

  get itemCount(): number {
    return this.#items.length
  }

  #call(message: Message): Promise<unknown[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${message.member}: no answer`)), 5000)
      this.#bus.invoke(message, (error, ...results) => {
        clearTimeout(timer)
        if (error) reject(new Error(`${message.member}: ${JSON.stringify(error)}`))
        else resolve(results)
      })
    })
  }

  #item(): { sender: string; path: string } {
    const item = this.#items.at(-1)
    if (item === undefined) throw new Error('no tray icon was registered')
    return item
  }

  async #property(name: string): Promise<unknown> {
    const { sender, path } = this.#item()
    const [variant] = await this.#call({
      destination: sender,
      path,
      interface: PROPERTIES,
      member: 'Get',
      signature: 'ss',
      body: [ITEM, name],
    })
    return (variant as Variant)[1][0]
  }

  async picture(): Promise<TrayPicture> {
    const pictures = (await this.#property('IconPixmap')) as [number, number, Uint8Array | number[]][]
    const [width, height, bytes] = pictures[0] ?? [0, 0, []]
    return { width, height, pixels: Buffer.from(bytes).toString('hex') }
  }

  async tooltip(): Promise<string> {
    const [, , title] = (await this.#property('ToolTip')) as [string, unknown, string, string]
    return title
  }

  async menu(): Promise<readonly MenuRow[]> {
    const { sender } = this.#item()
    const path = String(await this.#property('Menu'))
    const [, root] = await this.#call({
      destination: sender,
      path,
      interface: MENU,
      member: 'GetLayout',
      signature: 'iias',
      body: [0, -1, []],
    })
    return rowOf(root).rows
  }

  async click(row: MenuRow): Promise<void> {
    const { sender } = this.#item()
    await this.#call({
      destination: sender,
      path: String(await this.#property('Menu')),
      interface: MENU,
      member: 'Event',
      signature: 'isvu',
      body: [row.id, 'clicked', ['s', ''], 0],
    })
  }

  async activate(): Promise<void> {
    const { sender, path } = this.#item()
    await this.#call({ destination: sender, path, interface: ITEM, member: 'Activate', signature: 'ii', body: [0, 0] })
  }

  /** The first row whose label starts so; looked for on all levels. */
  async find(label: string): Promise<MenuRow> {
    const row = findRow(await this.menu(), label)
    if (row === undefined) throw new Error(`the menu has no row ${label}`)
    return row
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#bus.releaseName(WATCHER, () => resolve()))
    this.#bus.connection.end()
  }
}

function findRow(rows: readonly MenuRow[], label: string): MenuRow | undefined {
  for (const row of rows) {
    const found = row.label.startsWith(label) ? row : findRow(row.rows, label)
    if (found !== undefined) return found
  }
  return undefined
}

function rowOf(layout: unknown): MenuRow {
  const [id, properties, children] = layout as [number, [string, Variant][], Variant[]]
  const values = new Map(properties.map(([name, variant]) => [name, variant[1][0]]))
  return {
    id,
    label: String(values.get('label') ?? '').replaceAll('__', '_'),
    isEnabled: values.get('enabled') !== false,
    isSeparator: values.get('type') === 'separator',
    rows: children.map((child) => rowOf(child[1][0])),
  }
}

/** Labels as an indented list: one value to compare. */
export function menuText(rows: readonly MenuRow[], indent = ''): string[] {
  return rows.flatMap((row) =>
    row.isSeparator ? [`${indent}--`] : [`${indent}${row.label}`, ...menuText(row.rows, `${indent}  `)],
  )
}
