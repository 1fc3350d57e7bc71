/**
 * The system bus: calls with a deadline, and signals. Connects when first used and again when it was lost. Not what is
 * said on it. [D-Bus specification, "Authentication Protocol"]
 */
import { connect, type Socket } from 'node:net'
import {
  type DbusMessage,
  type DbusValue,
  dbusLength,
  dbusType,
  decodeDbus,
  encodeDbus,
} from '../../../src-protocol/wire/dbus.ts'

const DEFAULT_PATH = '/run/dbus/system_bus_socket'
const CALL_LIMIT_MS = 3_000
const NO_AUTO_START = 2

export interface DbusCall {
  readonly destination: string
  readonly path: string
  readonly interface: string
  readonly member: string
  readonly signature?: string
  readonly body?: readonly DbusValue[]
}

export class DbusError extends Error {
  override readonly name = 'DbusError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

interface Waiting {
  resolve(body: readonly DbusValue[]): void
  reject(error: Error): void
  readonly timer: NodeJS.Timeout
}

export class DbusConnection {
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiting>()
  #serial = 0
  #have: Buffer = Buffer.alloc(0)
  #isGreeted = false
  #isClosed = false
  onSignal: (message: DbusMessage) => void = () => {}
  onClose: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#hear(chunk))
    socket.on('error', () => {}) // `close` follows
    socket.on('close', () => this.#end(new DbusError('closed', 'the system bus closed the connection')))
    socket.unref()
  }

  /** Fails when there is no bus. */
  static async open(
    path = process.env.DBUS_SYSTEM_BUS_ADDRESS?.replace(/^unix:path=/, '') ?? DEFAULT_PATH,
  ): Promise<DbusConnection> {
    const socket = connect(path)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve())
      socket.once('error', reject)
    })
    const connection = new DbusConnection(socket)
    const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex')
    socket.write(`\0AUTH EXTERNAL ${uid}\r\n`)
    await connection.call({
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: 'Hello',
    })
    return connection
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  call(call: DbusCall): Promise<readonly DbusValue[]> {
    if (this.#isClosed) return Promise.reject(new DbusError('closed', 'there is no connection to the system bus'))
    const serial = ++this.#serial
    const message: DbusMessage = { type: dbusType.call, flags: NO_AUTO_START, serial, ...call, body: call.body ?? [] }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(serial)
        reject(new DbusError('timeout', `${call.destination} does not answer ${call.member}`))
      }, CALL_LIMIT_MS)
      this.#waiting.set(serial, { resolve, reject, timer })
      const bytes = encodeDbus(message)
      if (this.#isGreeted) this.#socket.write(bytes)
      else this.#first.push(bytes)
    })
  }

  /** Signals that fit the rule come to `onSignal`. */
  async match(rule: string): Promise<void> {
    await this.call({
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: 'AddMatch',
      signature: 's',
      body: [rule],
    })
  }

  /** Whether somebody owns the name now. */
  async isOwned(name: string): Promise<boolean> {
    const [owned] = await this.call({
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: 'NameHasOwner',
      signature: 's',
      body: [name],
    })
    return owned === true
  }

  /** One property, unwrapped. */
  async property(destination: string, path: string, iface: string, name: string): Promise<DbusValue> {
    const [variant] = await this.call({
      destination,
      path,
      interface: 'org.freedesktop.DBus.Properties',
      member: 'Get',
      signature: 'ss',
      body: [iface, name],
    })
    if (typeof variant === 'object' && 'signature' in variant) return variant.value
    throw new DbusError('bad-reply', `${destination} answered no value for ${name}`)
  }

  close(): void {
    this.#socket.destroy()
    this.#end(new DbusError('closed', 'closed'))
  }

  readonly #first: Uint8Array[] = []

  #hear(chunk: Buffer): void {
    this.#have = Buffer.concat([this.#have, chunk])
    if (!this.#isGreeted && !this.#greet()) return
    for (;;) {
      const length = dbusLength(this.#have)
      if (!length.ok) return void this.#socket.destroy()
      if (length.value === undefined || this.#have.length < length.value) return
      const message = decodeDbus(this.#have.subarray(0, length.value))
      this.#have = this.#have.subarray(length.value)
      if (message.ok) this.#handle(message.value)
    }
  }

  #greet(): boolean {
    const end = this.#have.indexOf('\r\n')
    if (end < 0) return false
    if (!this.#have.subarray(0, end).toString('latin1').startsWith('OK ')) {
      this.#socket.destroy()
      return false
    }
    this.#have = this.#have.subarray(end + 2)
    this.#isGreeted = true
    this.#socket.write('BEGIN\r\n')
    for (const bytes of this.#first.splice(0)) this.#socket.write(bytes)
    return true
  }

  #handle(message: DbusMessage): void {
    if (message.type === dbusType.signal) {
      this.onSignal(message)
      return
    }
    const waiting = this.#waiting.get(message.replySerial ?? 0)
    if (waiting === undefined) return
    this.#waiting.delete(message.replySerial ?? 0)
    clearTimeout(waiting.timer)
    if (message.type === dbusType.reply) waiting.resolve(message.body)
    else waiting.reject(new DbusError(message.errorName ?? 'error', String(message.body[0] ?? message.errorName)))
  }

  #end(error: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer)
      waiting.reject(error)
    }
    this.#waiting.clear()
    this.onClose()
  }
}
