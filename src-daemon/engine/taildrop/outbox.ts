/** What we send: transfers under way and done, as the watchers see them. Not HTTP (`io/taildrop/peer-client.ts`). [docs/rules/taildrop.md TD-8] */
import type { Readable } from 'node:stream'
import type { FileTarget, OutgoingFile } from '../../../src-contract/localapi/files.ts'
import { escapeName } from '../../../src-protocol/machines/taildrop/file-name.ts'
import type { Log } from '../../io/log/log.ts'
import type { PeerSend, PeerSendResult } from '../../io/taildrop/peer-client.ts'
import { timeText } from '../node-text.ts'

const TELL_EVERY_MS = 1_000
const MAX_FINISHED = 100

export interface Outgoing {
  readonly target: FileTarget
  /** As in the manifest; else one is made up. */
  readonly id?: string
  readonly name: string
  readonly length: number | undefined
  readonly body: Readable
  readonly signal: AbortSignal
}

export interface OutboxOptions {
  readonly send: (send: PeerSend) => Promise<PeerSendResult>
  readonly newId: () => string
  readonly nowMs: () => number
  readonly wallMs: () => number
  readonly log: Log
}

export class Outbox {
  onOutgoing: (files: readonly OutgoingFile[]) => void = () => {}
  /** One is over, well or not. */
  onOver: (outgoing: Outgoing, file: OutgoingFile, result: PeerSendResult) => void = () => {}
  readonly #o: OutboxOptions
  #files = new Map<string, OutgoingFile>()
  #running = new AbortController()
  #toldMs = 0

  constructor(options: OutboxOptions) {
    this.#o = options
  }

  /** Oldest first. */
  get outgoing(): OutgoingFile[] {
    const byAge = (a: OutgoingFile, b: OutgoingFile): number =>
      a.Started === b.Started ? (a.Name < b.Name ? -1 : 1) : a.Started < b.Started ? -1 : 1
    return [...this.#files.values()].sort(byAge)
  }

  /** Another network: nothing goes on, and nothing is remembered. */
  reset(): void {
    this.#running.abort()
    this.#running = new AbortController()
    if (this.#files.size === 0) return
    this.#files = new Map()
    this.onOutgoing([])
  }

  async send(outgoing: Outgoing): Promise<PeerSendResult> {
    const { target, id = this.#o.newId(), name, length, body, signal } = outgoing
    const files = this.#files
    const file: OutgoingFile = {
      ID: id,
      PeerID: target.Node.StableID,
      Name: escapeName(name),
      Started: timeText(this.#o.wallMs()),
      DeclaredSize: length ?? -1,
      Sent: 0,
      Finished: false,
      Succeeded: false,
    }
    files.set(id, file)
    this.#tell()
    const update = (change: Partial<OutgoingFile>): void => void files.set(id, { ...files.get(id)!, ...change })
    const result = await this.#o.send({
      baseUrl: target.PeerAPIURL,
      name,
      length,
      body,
      signal: AbortSignal.any([signal, this.#running.signal]),
      onProgress: (Sent) => {
        update({ Sent })
        if (this.#o.nowMs() - this.#toldMs >= TELL_EVERY_MS) this.#tell()
      },
    })
    update({ Finished: true, Succeeded: result.kind === 'answered' && result.status === 200 })
    this.onOver(outgoing, files.get(id)!, result)
    this.#forgetOld()
    if (files === this.#files) this.#tell()
    const { kind: _kind, ...words } = result
    this.#o.log.info('file-sent', { name, to: target.Node.StableID, result: result.kind, ...words })
    return result
  }

  #tell(): void {
    this.#toldMs = this.#o.nowMs()
    this.onOutgoing(this.outgoing)
  }

  #forgetOld(): void {
    const finished = this.outgoing.filter(({ Finished }) => Finished)
    for (const { ID } of finished.slice(0, -MAX_FINISHED)) this.#files.delete(ID)
  }
}
