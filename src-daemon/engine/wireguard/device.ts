/**
 * A plain WireGuard device: configured from outside (`apply`, `state`), peers with one endpoint each that follows them,
 * pre-shared keys, persistent keepalive. It drives the WireGuard machine over a data path and arms one timer; nothing of
 * Tailscale is in here.                                                                        [docs/rules/uapi.md UAPI-4]
 */
import type { IpPort, Ms } from '../../../src-contract/ids.ts'
import type { DoorEvent, PeerId } from '../../../src-native/door.ts'
import type { PlainPath } from '../../../src-native/open-plain-path.ts'
import { WireGuardDevice } from '../../../src-protocol/machines/wireguard/device.ts'
import type { WireGuardEffect } from '../../../src-protocol/machines/wireguard/effects.ts'
import { equalBytes, toHex } from '../../../src-protocol/wire/bytes.ts'
import type { Crypto } from '../../../src-protocol/wire/crypto.ts'
import type {
  UapiChange,
  UapiErrno,
  UapiPeerChange,
  UapiPeerState,
  UapiState,
} from '../../../src-protocol/wire/uapi.ts'
import { errorCode, type Log } from '../../io/log/log.ts'
import { AllowedIps } from './allowed-ips.ts'

/** Chosen ports must be free for both families; a few tries find one. */
const PORT_TRIES = 8

export interface PlainDeviceOptions {
  readonly plainPath: PlainPath
  readonly crypto: Crypto
  readonly now: () => Ms
  readonly wallMs: () => number
  readonly random01: () => number
  readonly log: Log
}

interface PlainPeer {
  readonly id: PeerId
  readonly publicKey: Uint8Array
  presharedKey: Uint8Array | undefined
  endpoint: IpPort | undefined
  persistentKeepaliveSeconds: number
  /** Bytes of handshake messages; the data path counts the rest. */
  handshakeRxBytes: number
  handshakeTxBytes: number
}

export class PlainDevice {
  readonly #o: PlainDeviceOptions
  readonly #peers = new Map<string, PlainPeer>()
  readonly #byId = new Map<PeerId, PlainPeer>()
  readonly #allowedIps = new AllowedIps()
  #nextId: PeerId = 1
  #privateKey: Uint8Array | undefined
  #publicKey: Uint8Array | undefined
  /** Exists while there is a private key. */
  #machine: WireGuardDevice | undefined
  #fwmark = 0
  #last: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #timerAt: Ms = Number.POSITIVE_INFINITY
  #closed = false

  constructor(options: PlainDeviceOptions) {
    this.#o = options
  }

  // Asked and told over UAPI ----------------------------------------------------------------------------------------

  state(): UapiState {
    this.#o.plainPath.deliver()
    const counters = this.#path.stats().peers
    const peers: UapiPeerState[] = [...this.#byId.values()].map((peer) => ({
      publicKey: peer.publicKey,
      presharedKey: peer.presharedKey,
      endpoint: peer.endpoint,
      lastHandshakeMs: this.#machine?.session(peer.id).lastHandshakeMs,
      rxBytes: (counters.get(peer.id)?.rxBytes ?? 0) + peer.handshakeRxBytes,
      txBytes: (counters.get(peer.id)?.txBytes ?? 0) + peer.handshakeTxBytes,
      persistentKeepaliveSeconds: peer.persistentKeepaliveSeconds,
      allowedIps: this.#allowedIps.of(peer.id),
    }))
    return { privateKey: this.#privateKey, listenPort: this.#path.udpPorts.v4, fwmark: this.#fwmark, peers }
  }

  /** One change at a time. What can fail comes first, so that a change happens whole or not at all. */
  apply(change: UapiChange): Promise<UapiErrno | undefined> {
    const done = this.#last.then(() => this.#apply(change))
    this.#last = done.catch(() => undefined) // its caller hears of it; the next change is not concerned
    return done
  }

  async #apply(change: UapiChange): Promise<UapiErrno | undefined> {
    if (this.#closed) return 'EIO'
    this.#o.plainPath.deliver() // where peers were heard from before this change must not undo it
    const errno = await this.#applySockets(change)
    if (errno !== undefined || this.#closed) return errno ?? 'EIO'
    if (change.privateKey !== undefined) this.#setPrivateKey(change.privateKey ?? undefined)
    if (change.replacePeers) for (const peer of [...this.#byId.values()]) this.#remove(peer)
    const rerouted = new Set<PeerId>()
    for (const peerChange of change.peers) this.#applyPeer(peerChange, rerouted)
    // Each table once: a change may move thousands of prefixes.
    for (const id of rerouted) if (this.#byId.has(id)) this.#setRoutes(id)
    this.#arm()
    return undefined
  }

  async #applySockets(change: UapiChange): Promise<UapiErrno | undefined> {
    const before = { port: this.#path.udpPorts.v4, mark: this.#fwmark }
    const mark = change.fwmark ?? before.mark
    const isNewPort = change.listenPort !== undefined && change.listenPort !== before.port
    if (!isNewPort && mark === before.mark) return undefined
    const port = isNewPort ? change.listenPort! : before.port
    const problem = await this.#rebind(port, mark)
    if (problem === undefined) return undefined
    const lost = await this.#rebind(before.port, before.mark)
    if (lost !== undefined) this.#o.log.error('socket-lost', { port: before.port, errno: lost })
    return problem
  }

  async #rebind(port: number, mark: number): Promise<UapiErrno | undefined> {
    this.#o.plainPath.setFwmark(mark)
    try {
      for (let tries = 0; tries < PORT_TRIES; tries++) {
        const { v4, v6 } = await this.#path.rebind(port)
        if ((v6 === undefined || v6 === v4) && (port === 0 || v4 === port)) {
          this.#fwmark = mark
          return undefined
        }
        if (port !== 0) break
      }
    } catch (error) {
      this.#o.log.warn('rebind-failed', { error })
      return errorCode(error) === 'EPERM' ? 'EPERM' : 'EADDRINUSE'
    }
    return 'EADDRINUSE'
  }

  #setPrivateKey(privateKey: Uint8Array | undefined): void {
    const own = privateKey === undefined ? undefined : clamp(privateKey)
    if (own !== undefined && this.#privateKey !== undefined && equalBytes(own, this.#privateKey)) return
    this.#privateKey = own
    this.#publicKey = own === undefined ? undefined : this.#o.crypto.x25519PublicKey(own)
    const self = this.#publicKey === undefined ? undefined : this.#peers.get(toHex(this.#publicKey))
    if (self !== undefined) this.#remove(self)
    if (own === undefined) {
      this.#perform(this.#machine?.close() ?? [])
      this.#machine = undefined
    } else if (this.#machine !== undefined) {
      this.#perform(this.#machine.setPrivateKey(own, this.#o.now()))
    } else {
      this.#machine = new WireGuardDevice({
        crypto: this.#o.crypto,
        privateKey: own,
        wallClockMs: this.#o.wallMs,
        random01: this.#o.random01,
      })
      for (const peer of this.#byId.values()) this.#introduce(this.#machine, peer)
    }
  }

  #introduce(machine: WireGuardDevice, peer: PlainPeer): void {
    machine.addPeer(peer.id, peer.publicKey, peer.presharedKey)
    if (peer.persistentKeepaliveSeconds > 0) this.#setKeepalive(peer, peer.persistentKeepaliveSeconds)
  }

  #applyPeer(change: UapiPeerChange, rerouted: Set<PeerId>): void {
    const key = toHex(change.publicKey)
    const known = this.#peers.get(key)
    if (change.remove) {
      if (known !== undefined) this.#remove(known)
      return
    }
    if (known === undefined && change.updateOnly) return
    if (this.#publicKey !== undefined && equalBytes(this.#publicKey, change.publicKey)) return
    const peer = known ?? this.#add(change.publicKey, key)
    if (known === undefined) rerouted.add(peer.id)
    if (change.presharedKey !== undefined) {
      peer.presharedKey = change.presharedKey ?? undefined
      this.#machine?.addPeer(peer.id, peer.publicKey, peer.presharedKey)
    }
    if (change.replaceAllowedIps) {
      this.#allowedIps.clear(peer.id)
      rerouted.add(peer.id)
    }
    for (const { prefix, isRemoval } of change.allowedIps) {
      rerouted.add(peer.id)
      if (isRemoval) this.#allowedIps.remove(peer.id, prefix)
      else {
        const loser = this.#allowedIps.add(peer.id, prefix)
        if (loser !== undefined) rerouted.add(loser)
      }
    }
    if (change.endpoint !== undefined) this.#setEndpoint(peer, change.endpoint)
    const { persistentKeepaliveSeconds: seconds } = change
    if (seconds !== undefined && seconds !== peer.persistentKeepaliveSeconds) this.#setKeepalive(peer, seconds)
  }

  #add(publicKey: Uint8Array, key: string): PlainPeer {
    const peer: PlainPeer = {
      id: this.#nextId++,
      publicKey,
      presharedKey: undefined,
      endpoint: undefined,
      persistentKeepaliveSeconds: 0,
      handshakeRxBytes: 0,
      handshakeTxBytes: 0,
    }
    this.#peers.set(key, peer)
    this.#byId.set(peer.id, peer)
    this.#setRoutes(peer.id) // the data path has to know it before it gets a destination
    this.#machine?.addPeer(peer.id, peer.publicKey)
    return peer
  }

  #remove(peer: PlainPeer): void {
    this.#peers.delete(toHex(peer.publicKey))
    this.#byId.delete(peer.id)
    this.#allowedIps.clear(peer.id)
    if (this.#machine !== undefined) this.#perform(this.#machine.removePeer(peer.id, this.#o.now()))
    this.#path.removePeer(peer.id)
  }

  #setRoutes(id: PeerId): void {
    this.#path.setPeer({ peer: id, allowedIps: [...this.#allowedIps.of(id)], jailed: false })
  }

  #setKeepalive(peer: PlainPeer, seconds: number): void {
    peer.persistentKeepaliveSeconds = seconds
    if (this.#machine !== undefined) {
      this.#perform(this.#machine.setPersistentKeepalive(peer.id, seconds * 1000, this.#o.now()))
    }
  }

  /** Also when we believe it to be there: the path may have followed the peer elsewhere and not told us yet. */
  #setEndpoint(peer: PlainPeer, endpoint: IpPort): void {
    peer.endpoint = endpoint
    this.#path.setDestination(peer.id, { udp: endpoint, relay: false })
  }

  // From the world --------------------------------------------------------------------------------------------------

  handleDoorEvents(events: readonly DoorEvent[]): void {
    if (this.#closed) return
    for (const event of events) this.#handleDoorEvent(event)
    this.#arm()
  }

  #handleDoorEvent(event: DoorEvent): void {
    const machine = this.#machine
    if (machine === undefined) return
    const now = this.#o.now()
    switch (event.kind) {
      case 'activity': {
        const peer = this.#byId.get(event.peer)
        if (event.receivedAny && peer !== undefined && event.from !== undefined && event.from !== 'relay') {
          peer.endpoint = event.from // the path has followed by itself
        }
        this.#perform(machine.handleActivity(event, now))
        return
      }
      case 'confirmed':
        this.#perform(machine.handleConfirmed(event.peer, event.localIndex, now))
        return
      case 'datagram':
        this.#perform(machine.handleDatagram(event.bytes, { kind: 'udp', from: event.from }, now), event.bytes.length)
        return
      case 'noSession':
        this.#perform(machine.handleNoSession(event.peer, event.packet, now))
        return
      case 'sendFailed':
        this.#o.log.debug('send-failed', { to: event.to, code: event.code })
        return
      default:
        return // nothing is served inside, there is no relay, and the interface has its own watch
    }
  }

  // To the world ----------------------------------------------------------------------------------------------------

  #perform(effects: readonly WireGuardEffect[], receivedBytes = 0): void {
    for (const effect of effects) this.#performOne(effect, receivedBytes)
  }

  #performOne(effect: WireGuardEffect, receivedBytes: number): void {
    switch (effect.kind) {
      case 'send': {
        const peer = this.#byId.get(effect.peer)
        if (peer?.endpoint === undefined) return
        peer.handshakeTxBytes += effect.bytes.length
        this.#path.sendDatagram(peer.endpoint, effect.bytes)
        return
      }
      case 'reply':
        if (effect.to.kind === 'udp') this.#path.sendDatagram(effect.to.from, effect.bytes)
        return
      case 'addKeypair':
        this.#path.addKeypair(effect.keypair)
        return
      case 'dropKeypair':
        this.#path.dropKeypair(effect.localIndex)
        return
      case 'sendPacket':
        this.#path.sendPacket(effect.peer, effect.packet)
        return
      case 'heardFrom': {
        const peer = this.#byId.get(effect.peer)
        if (peer === undefined || effect.source.kind !== 'udp') return
        peer.handshakeRxBytes += receivedBytes
        this.#setEndpoint(peer, effect.source.from)
        return
      }
      case 'session':
        this.#o.log.debug('session', { peer: effect.peer, state: effect.state })
        return
      case 'established':
        return
    }
  }

  get #path(): PlainPath['path'] {
    return this.#o.plainPath.path
  }

  #arm(): void {
    const next = this.#machine?.nextWake() ?? Number.POSITIVE_INFINITY
    if (next === this.#timerAt || this.#closed) return
    clearTimeout(this.#timer)
    this.#timerAt = next
    if (next === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => this.#wake(), Math.max(0, Math.ceil(next - this.#o.now())))
  }

  #wake(): void {
    this.#timerAt = Number.POSITIVE_INFINITY
    if (this.#machine !== undefined) this.#perform(this.#machine.wake(this.#o.now()))
    this.#arm()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#machine?.close()
  }
}

/** As every X25519 does anyway; `wg` shows the key in this form. */
function clamp(key: Uint8Array): Uint8Array {
  const clamped = key.slice()
  clamped[0]! &= 248
  clamped[31] = (clamped[31]! & 127) | 64
  return clamped
}
