/**
 * The functions of the native data path (`addon/datapath/binding.cpp`). Each takes the handle first; unknown ids are
 * ignored, wrong types throw. Byte arrays are copied before a call returns.
 */
declare const handle: unique symbol
/** One data path; only the addon can look inside. */
export interface NativeHandle {
  readonly [handle]: true
}

/** `openssl` answers to the other name where only its public interface can be used (docs/decisions/0005). */
export type AeadName = 'ipsec-mb' | 'openssl' | 'openssl-evp'

/** 0 or 1. */
export type Flag = 0 | 1

export interface NativeStats {
  readonly aead: AeadName
  readonly drops: { readonly [reason: string]: number }
  readonly faults: { readonly [fault: string]: number }
  /** Five numbers a peer: id, received bytes, sent bytes, received packets, sent packets. */
  readonly peers: Float64Array
}

export interface NativeFunctions {
  /** Whether such an AEAD can be had here; '' asks for any. */
  hasBackend(name: AeadName | ''): boolean
  /** `manual` 1 or 2: no threads and no sockets, tests feed it by hand; 2 with a host. `aead` '' = the fastest. */
  create(mtuBytes: number, aead: AeadName | '', manual: 0 | 1 | 2, isPlain: Flag): NativeHandle
  /** The interface has another MTU: padding goes up to it. */
  setMtu(path: NativeHandle, mtuBytes: number): void
  /** Starts the threads. The interface's descriptor (-1: none) is the path's from here on. */
  start(path: NativeHandle, interfaceFd: number, offload: 0 | 1 | 2, onWake: () => void): void
  /** The sockets (-1: none) are the path's from here on; those of before are closed. */
  setSockets(path: NativeHandle, v4: number, v6: number): void
  /** Prefixes as `pack-tables.ts` packs them. */
  setPeer(path: NativeHandle, peer: number, jailed: Flag, prefixes: Uint8Array, masquerade: Uint8Array): void
  setOwnAddresses(path: NativeHandle, addresses: Uint8Array): void
  /** Empty: none. */
  setOwnDisco(path: NativeHandle, key: Uint8Array): void
  removePeer(path: NativeHandle, peer: number): void
  /** `keys`: 32 bytes to send with, 32 to receive with. */
  addKeypair(
    path: NativeHandle,
    peer: number,
    localIndex: number,
    remoteIndex: number,
    keys: Uint8Array,
    isNext: Flag,
  ): void
  dropKeypair(path: NativeHandle, localIndex: number): void
  /** Frees the keypairs that a confirmation rotated out. */
  reap(path: NativeHandle, peer: number): void
  /** An empty address: no direct path. `vni` below zero: no Geneve header. */
  setDestination(path: NativeHandle, peer: number, address: Uint8Array, vni: number, relay: Flag): void
  setFilter(path: NativeHandle, table: Uint8Array): void
  setLocalServices(path: NativeHandle, prefixes: Uint8Array): void
  expectEcho(path: NativeHandle, identifier: number): void
  sendDatagram(path: NativeHandle, address: Uint8Array, bytes: Uint8Array): void
  sendPacket(path: NativeHandle, peer: number, packet: Uint8Array): void
  receiveFromRelay(path: NativeHandle, datagram: Uint8Array): void
  writeToHost(path: NativeHandle, packet: Uint8Array): void
  /** Sends what the calls above left waiting; answers whether there is activity that a `take` would tell of. */
  flush(path: NativeHandle): boolean
  /** What waits for JavaScript (`native-events.ts`); undefined = nothing. */
  take(path: NativeHandle): ArrayBuffer | undefined
  stats(path: NativeHandle): NativeStats
  /** Sends what waits; the threads have ended when this returns. */
  close(path: NativeHandle): void

  // Of a manual path:
  setClock(path: NativeHandle, nowMs: number): void
  feedNetwork(path: NativeHandle, from: Uint8Array, datagram: Uint8Array): void
  /** A packet of the host behind its offload header (`addon/offload.h`). */
  feedHost(path: NativeHandle, packet: Uint8Array): void
  takeSent(path: NativeHandle): ArrayBuffer
  takeWritten(path: NativeHandle): ArrayBuffer

  /** The AEADs by themselves, for test vectors; `aeadOpen` answers undefined for what is not authentic. */
  aeadSeal(name: AeadName, key: Uint8Array, nonce: Uint8Array, more: Uint8Array, plain: Uint8Array): ArrayBuffer
  aeadOpen(
    name: AeadName,
    key: Uint8Array,
    nonce: Uint8Array,
    more: Uint8Array,
    sealed: Uint8Array,
  ): ArrayBuffer | undefined
  /** Why there is no ipsec-mb, in a few words; undefined when there is. */
  aeadProblem(): string | undefined
  /** Seals (0) or opens (1) many packets, each with its own key; `addon/datapath/aead-binding.cpp` draws them. */
  aeadBatch(name: AeadName, opens: Flag, records: Uint8Array): ArrayBuffer
  /** Packets a second that one thread judges; `packets`: each u32 length (little-endian) and its bytes. */
  filterRate(table: Uint8Array, packets: Uint8Array, milliseconds: number): number
  /** Nanoseconds a packet. */
  aeadTime(name: AeadName, opens: Flag, bytes: number, packets: number): number
}
