/** Asks a running server over its administration socket; what goes wrong is said in words a person can act on. */
import { request as httpRequest } from 'node:http'
import { isJsonObject, parseJson } from '../../src-protocol/wire/json.ts'

export class AdminError extends Error {
  override readonly name = 'AdminError'
  /** 0: the server was not reached. */
  readonly status: number
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

export class AdminClient {
  readonly #socketPath: string
  constructor(socketPath: string) {
    this.#socketPath = socketPath
  }

  async call<T>(method: string, path: string, body?: object): Promise<T> {
    const { status, text } = await this.#send(method, `/api/v1${path}`, body)
    const json = parseJson(text)
    if (!json.ok || !isJsonObject(json.value))
      throw new AdminError(status, `${this.#socketPath} does not belong to pintail-control`)
    if (status !== 200) throw new AdminError(status, String(json.value.detail ?? `status ${status}`))
    return json.value as T
  }

  #send(method: string, path: string, body: object | undefined): Promise<{ status: number; text: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
    const request = httpRequest(
      {
        socketPath: this.#socketPath,
        method,
        path,
        headers: { 'Content-Type': 'application/json' },
        timeout: 30_000,
        agent: false,
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          text += part
        })
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }))
        response.once('error', reject)
      },
    )
    request.once('timeout', () => request.destroy(new Error('no answer for 30 seconds')))
    request.once('error', (error: NodeJS.ErrnoException) =>
      reject(new AdminError(0, this.#explain(error), { cause: error })),
    )
    request.end(body === undefined ? undefined : JSON.stringify(body))
    return promise
  }

  #explain(error: NodeJS.ErrnoException): string {
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
      return `no server is listening on ${this.#socketPath}; start it with: pintail-control serve (or name its config with --config)`
    if (error.code === 'EACCES')
      return `${this.#socketPath} may not be opened by this user; run this as root or as a member of the socket's group`
    return `${this.#socketPath}: ${error.message}`
  }
}
