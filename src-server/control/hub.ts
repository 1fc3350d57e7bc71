/**
 * The open map streams: who is connected, and who is told what. Changes of the registry are gathered for a moment and sent
 * to every viewer as one delta; viewers with the same view share the same bytes. The newest stream of a node wins.
 */
import { zstdCompressSync } from 'node:zlib'
import type { PeerChange } from '../../src-contract/control/map.ts'
import type { NodeKeyText } from '../../src-contract/ids.ts'
import { encodeMapMessage } from '../../src-protocol/wire/map-framing.ts'
import { utf8 } from '../../src-protocol/wire/text.ts'
import type { Maps, SharedParts } from '../mapper/maps.ts'
import { timeText, visibleChange } from '../mapper/node.ts'
import { isExpired, type NodeRecord } from '../registry/model.ts'
import type { Change, Registry } from '../registry/registry.ts'
import type { Routing } from '../routing/routing.ts'

/** One HTTP/2 response body. */
export interface MapSink {
  write(bytes: Uint8Array): void
  /** What was written and not yet taken by the network. */
  readonly waitingBytes: number
  /** Asks the other side for a sign of life; `answered` is called when it comes, or never. */
  ping(answered: () => void): void
  close(): void
}

export interface MapSession {
  readonly nodeId: number
  /** The stream has ended at the other side. */
  ended(): void
}

export interface HubOptions {
  readonly registry: Registry
  readonly routing: Routing
  readonly now: () => number
  readonly random01: () => number
  readonly offlineAfterMs: number
  readonly gatherMs?: number
  readonly keepAliveMs?: number
  readonly probeMs?: number
}

/** The first change waits this long for company; under load a message goes out at most every MIN_INTERVAL_MS. */
const GATHER_MS = 10
const MIN_INTERVAL_MS = 100
const KEEP_ALIVE_MS = 50_000
const KEEP_ALIVE_SPREAD_MS = 9000
/** After a restart, nodes that were connected have this long to come back before others see them offline. */
const RESTART_GRACE_MS = 60_000
/** Routers that somebody could replace are asked this often, and have as long to answer. */
const PROBE_MS = 5000
/** A viewer that reads slower than the network changes starts over with a full map. */
const MAX_WAITING_BYTES = 16 << 20

class Session implements MapSession {
  readonly nodeId: number
  readonly nodeKey: NodeKeyText
  readonly isCompressed: boolean
  readonly sink: MapSink
  /** Expired or deleted: hears nothing about others any more. */
  isOutcast = false
  keepAlive: NodeJS.Timeout | undefined
  /** Runs while an answer is awaited. */
  probe: NodeJS.Timeout | undefined
  readonly #onEnded: (session: Session) => void

  constructor(node: NodeRecord, isCompressed: boolean, sink: MapSink, onEnded: (session: Session) => void) {
    this.nodeId = node.id
    this.nodeKey = node.nodeKey
    this.isCompressed = isCompressed
    this.sink = sink
    this.#onEnded = onEnded
  }
  ended(): void {
    this.#onEnded(this)
  }
}

export function mapFrame(text: string, isCompressed: boolean): Uint8Array {
  const json = utf8(text)
  return encodeMapMessage(isCompressed ? zstdCompressSync(json) : json)
}

export class Hub {
  readonly #o: HubOptions
  readonly #sessions = new Map<number, Session>()
  /** Nodes whose stream ended a moment ago and who still count as online. */
  readonly #leaving = new Map<number, NodeJS.Timeout>()
  /** Routers that are connected and do not answer. */
  readonly #silent = new Set<number>()
  readonly #probing: NodeJS.Timeout
  readonly #stopListening: () => void
  readonly #keepAliveFrames = {
    true: mapFrame('{"KeepAlive":true}', true),
    false: mapFrame('{"KeepAlive":true}', false),
  }
  #maps: Maps | undefined
  #whole = new Set<number>()
  #patches = new Map<number, PeerChange>()
  #removed = new Set<number>()
  #shared = new Set<keyof SharedParts>()
  #timer: NodeJS.Timeout | undefined
  #lastFlush = Number.NEGATIVE_INFINITY

  constructor(options: HubOptions) {
    this.#o = options
    this.#stopListening = options.registry.onChange((change) => this.#handleChange(change))
    for (const node of options.registry.nodes.values())
      if (node.lastSeen === null && node.discoKey !== null) this.#startLeaving(node.id, RESTART_GRACE_MS)
    const nodes = [...options.registry.nodes.values()]
    options.routing.start(nodes, (node) => this.#isServing(node))
    for (const { id } of nodes) this.#keepPrimaries(id)
    this.#probing = setInterval(() => this.#probe(), options.probeMs ?? PROBE_MS)
  }

  /** The maps need to know who is online, so they come second. */
  setMaps(maps: Maps): void {
    this.#maps = maps
  }

  isOnline(id: number): boolean {
    return this.#sessions.has(id) || this.#leaving.has(id)
  }
  get streamCount(): number {
    return this.#sessions.size
  }

  /** Opens the node's stream: the full map now, changes from now on. */
  open(node: NodeRecord, isCompressed: boolean, sink: MapSink): MapSession {
    const wasOnline = this.isOnline(node.id)
    const older = this.#sessions.get(node.id)
    if (older !== undefined) this.#drop(older)
    const session = new Session(node, isCompressed, sink, (ended) => this.#handleEnded(ended))
    this.#sessions.set(node.id, session)
    clearTimeout(this.#leaving.get(node.id))
    this.#leaving.delete(node.id)
    if (node.lastSeen !== null) this.#o.registry.update(node.id, { lastSeen: null })
    this.#silent.delete(node.id)
    this.#followRoutes(node)
    this.#sendFull(session, node)
    if (!wasOnline) this.#patch({ NodeID: node.id, Online: true })
    return session
  }

  /** A stream for somebody who is no node any more: the last word, then only keep-alives, so that it does not come again at once. */
  openOutcast(node: NodeRecord, sinceMs: number, isCompressed: boolean, sink: MapSink): MapSession {
    const session = new Session(node, isCompressed, sink, (ended) => clearTimeout(ended.keepAlive))
    session.isOutcast = true
    this.#send(session, mapFrame(this.#must().outcastText(node, sinceMs), isCompressed))
    return session
  }

  /** Time passed: this node's login ended. */
  handleExpired(node: NodeRecord): void {
    this.#markWhole(node.id)
    this.#followRoutes(node)
  }

  /** These parts of the map are new for everybody. */
  tellAll(parts: ReadonlySet<keyof SharedParts>): void {
    if (parts.size === 0) return
    for (const part of parts) this.#shared.add(part)
    this.#schedule()
  }

  /** These nodes look different now, to themselves and to others, by something that is not in the registry. */
  show(ids: ReadonlySet<number>): void {
    for (const id of ids) {
      this.#maps?.forget(id)
      this.#markWhole(id)
      this.#keepPrimaries(id)
    }
  }

  close(): void {
    this.#stopListening()
    clearTimeout(this.#timer)
    clearInterval(this.#probing)
    for (const timer of this.#leaving.values()) clearTimeout(timer)
    this.#leaving.clear()
    for (const session of [...this.#sessions.values()]) this.#drop(session)
  }

  // ---- inside

  #must(): Maps {
    if (this.#maps === undefined) throw new Error('the hub has no maps yet')
    return this.#maps
  }

  #handleChange(change: Change): void {
    if (change.kind === 'node-added') {
      this.#markWhole(change.node.id)
      this.#followRoutes(change.node)
      return
    }
    if (change.kind === 'node-removed') {
      this.#handleRemoved(change.node)
      return
    }
    const { before, after } = change
    const visible = visibleChange(before, after)
    if (visible.kind === 'whole') this.#markWhole(after.id)
    else if (visible.kind === 'patch') this.#patch(visible.patch)
    this.#followRoutes(after)
    const session = this.#sessions.get(after.id)
    if (session !== undefined && session.nodeKey !== after.nodeKey) this.#drop(session) // the client renewed its key and streams anew
  }

  #handleRemoved(node: NodeRecord): void {
    const session = this.#sessions.get(node.id)
    if (session !== undefined) {
      session.isOutcast = true
      this.#send(session, mapFrame(this.#must().outcastText(node, this.#o.now()), session.isCompressed))
      this.#drop(session)
    }
    clearTimeout(this.#leaving.get(node.id))
    this.#leaving.delete(node.id)
    this.#silent.delete(node.id)
    this.show(this.#o.routing.forget(node.id))
    this.#must().forget(node.id)
    this.#whole.delete(node.id)
    this.#patches.delete(node.id)
    this.#removed.add(node.id)
    this.#schedule()
  }

  #followRoutes(node: NodeRecord): void {
    this.show(this.#o.routing.follow(node, this.#isServing(node)))
  }

  #keepPrimaries(id: number): void {
    const primaryRoutes = this.#o.routing.of(id).primary
    if (primaryRoutes.join() !== this.#o.registry.nodes.get(id)?.primaryRoutes.join())
      this.#o.registry.update(id, { primaryRoutes })
  }

  /** May somebody's packets go there? Peers drop a node whose login ended. */
  #isServing(node: NodeRecord): boolean {
    return this.isOnline(node.id) && !this.#silent.has(node.id) && !isExpired(node, this.#o.now())
  }

  /** A machine that lost its network says no goodbye; where another router could take over, that must not take long. */
  #probe(): void {
    for (const id of this.#o.routing.shared()) {
      const session = this.#sessions.get(id)
      if (session === undefined || session.probe !== undefined) continue
      // answers that wait behind a busy moment of this server are read before the verdict
      session.probe = setTimeout(() => setImmediate(() => this.#setSilent(session, true)), this.#o.probeMs ?? PROBE_MS)
      session.sink.ping(() => {
        clearTimeout(session.probe)
        session.probe = undefined
        this.#setSilent(session, false)
      })
    }
  }

  #setSilent(session: Session, isSilent: boolean): void {
    const id = session.nodeId
    if (this.#sessions.get(id) !== session || this.#silent.has(id) === isSilent) return
    if (isSilent && session.probe === undefined) return // the answer came after all
    if (isSilent) this.#silent.add(id)
    else this.#silent.delete(id)
    const node = this.#o.registry.nodes.get(id)
    if (node !== undefined) this.#followRoutes(node)
  }

  #markWhole(id: number): void {
    this.#patches.delete(id)
    this.#whole.add(id)
    this.#schedule()
  }

  #patch(patch: PeerChange): void {
    const id = Number(patch.NodeID)
    if (!this.#whole.has(id)) this.#patches.set(id, { ...this.#patches.get(id), ...patch })
    this.#schedule()
  }

  #schedule(): void {
    const wait = Math.max(this.#o.gatherMs ?? GATHER_MS, this.#lastFlush + MIN_INTERVAL_MS - performance.now())
    this.#timer ??= setTimeout(() => this.#flush(), wait)
  }

  #flush(): void {
    this.#timer = undefined
    this.#lastFlush = performance.now()
    const batch = {
      whole: this.#whole,
      patches: this.#patches,
      removed: this.#removed,
      shared: this.#shared,
      at: this.#o.now(),
    }
    this.#whole = new Set()
    this.#patches = new Map()
    this.#removed = new Set()
    this.#shared = new Set()
    const frames = new Map<string, Uint8Array>()
    for (const session of [...this.#sessions.values()]) {
      const viewer = this.#o.registry.nodes.get(session.nodeId)
      if (viewer === undefined) continue
      if (session.isOutcast || (batch.whole.has(viewer.id) && isExpired(viewer, this.#o.now()))) {
        this.#sendToExpired(session, viewer)
        continue
      }
      const text = this.#must().deltaText(viewer, batch)
      if (text === undefined) continue
      const key = `${session.isCompressed}${text}`
      const frame = frames.get(key) ?? mapFrame(text, session.isCompressed)
      frames.set(key, frame)
      this.#send(session, frame)
    }
  }

  #sendToExpired(session: Session, viewer: NodeRecord): void {
    if (!isExpired(viewer, this.#o.now())) {
      this.#sendFull(session, viewer)
      return
    }
    if (session.isOutcast) return
    session.isOutcast = true
    this.#send(
      session,
      mapFrame(this.#must().outcastText(viewer, viewer.expiresAt ?? this.#o.now()), session.isCompressed),
    )
  }

  #sendFull(session: Session, viewer: NodeRecord): void {
    session.isOutcast = isExpired(viewer, this.#o.now())
    const maps = this.#must()
    const text = session.isOutcast ? maps.outcastText(viewer, viewer.expiresAt ?? this.#o.now()) : maps.fullText(viewer)
    this.#send(session, mapFrame(text, session.isCompressed))
  }

  #send(session: Session, frame: Uint8Array): void {
    if (session.sink.waitingBytes > MAX_WAITING_BYTES) {
      this.#handleEnded(session, true)
      return
    }
    session.sink.write(frame)
    clearTimeout(session.keepAlive)
    const wait = (this.#o.keepAliveMs ?? KEEP_ALIVE_MS) + this.#o.random01() * KEEP_ALIVE_SPREAD_MS
    session.keepAlive = setTimeout(() => this.#send(session, this.#keepAliveFrames[`${session.isCompressed}`]), wait)
  }

  /** Ends a stream without a word about its node. */
  #drop(session: Session): void {
    clearTimeout(session.keepAlive)
    clearTimeout(session.probe)
    if (this.#sessions.get(session.nodeId) === session) this.#sessions.delete(session.nodeId)
    session.sink.close()
  }

  #handleEnded(session: Session, isOurDoing = false): void {
    clearTimeout(session.keepAlive)
    clearTimeout(session.probe)
    if (isOurDoing) session.sink.close()
    if (this.#sessions.get(session.nodeId) !== session) return // a newer stream took over, or the node is gone
    this.#sessions.delete(session.nodeId)
    this.#startLeaving(session.nodeId, this.#o.offlineAfterMs)
  }

  #startLeaving(id: number, graceMs: number): void {
    this.#leaving.set(
      id,
      setTimeout(() => this.#handleLeft(id), graceMs),
    )
  }

  #handleLeft(id: number): void {
    this.#leaving.delete(id)
    const lastSeen = this.#o.now()
    const node = this.#o.registry.nodes.get(id)
    if (node !== undefined) this.#followRoutes(node)
    if (this.#o.registry.update(id, { lastSeen }) === undefined) return
    this.#patch({ NodeID: id, Online: false, LastSeen: timeText(lastSeen) })
  }
}
