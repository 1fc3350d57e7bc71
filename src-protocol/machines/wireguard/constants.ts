/** The numbers of WireGuard, under the names of its paper.                                              [WireGuard §6.1] */

export const REKEY_AFTER_MESSAGES = 2 ** 60
export const REKEY_AFTER_TIME_MS = 120_000
export const REJECT_AFTER_TIME_MS = 180_000
export const REKEY_TIMEOUT_MS = 5_000
/** Random addition to the two timers that send initiations, so that two ends do not stay in step. */
export const REKEY_JITTER_MS = 333
export const KEEPALIVE_TIMEOUT_MS = 10_000
/** Key material is wiped this long after the last session was derived. */
export const ZERO_KEYS_AFTER_MS = 3 * REJECT_AFTER_TIME_MS
/** "Last minute": a receiving initiator renews a keypair this old, so that it does not die under traffic. */
export const REKEY_RECEIVING_AFTER_MS = REJECT_AFTER_TIME_MS - KEEPALIVE_TIMEOUT_MS - REKEY_TIMEOUT_MS
/** 90 s of attempts, 5 s apart: the retransmit timer gives up once it has counted more than this. */
export const MAX_HANDSHAKE_RETRIES = 18
/** Two initiations of one peer within this are a flood. */
export const INITIATION_SPACING_MS = 20

export const COOKIE_REFRESH_MS = 120_000
/** Handshake messages waiting that mean "under load": an eighth of a queue of 1024. */
export const LOAD_BACKLOG = 128
export const LOAD_HOLD_MS = 1_000
export const HANDSHAKES_PER_SECOND_PER_IP = 20
export const HANDSHAKE_BURST_PER_IP = 5
export const RATE_ENTRY_LIFE_MS = 1_000

export const STAGED_PACKETS_PER_PEER = 128

// Our own choices.

/** Handshake messages per second that count as handled without building a backlog; one costs about a third of a millisecond. */
export const DEFAULT_HANDSHAKES_PER_SECOND = 500
/** Addresses the rate limiter remembers; all of them have proven themselves by a cookie within the last second. */
export const RATE_ENTRIES = 4096
/** Packets waiting for handshakes, over all peers. */
export const STAGED_BYTES = 8 * 2 ** 20
/** Peers whose timers one wake handles, so that ten thousand due at once do not stop the world. */
export const PEERS_PER_WAKE = 128
/** A packet that comes back without a session this soon after one became current had only crossed it on the way. */
export const CROSSING_MS = 1_000
