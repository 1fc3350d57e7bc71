/** Times of path selection. The first group is the field's (disco.md §6): other numbers there would annoy stock peers. */
import type { Ms } from '../../../src-contract/ids.ts'

export const HEARTBEAT_MS: Ms = 3_000
/** Since the last packet of ours; afterwards peers must be left to sleep. */
export const SESSION_ACTIVE_MS: Ms = 45_000
/** How long a pong vouches for a path. */
export const TRUST_MS: Ms = 6_500
export const PING_TIMEOUT_MS: Ms = 5_000
/** Between discovery pings to one candidate. */
export const DISCOVERY_INTERVAL_MS: Ms = 5_000
/** At or below this, no better path is looked for. */
export const GOOD_ENOUGH_MS: Ms = 5
export const UPGRADE_INTERVAL_MS: Ms = 60_000
/** An older list of own endpoints is renewed before it is trusted. */
export const ENDPOINTS_FRESH_MS: Ms = 27_000
/** A candidate that only a ping brought, silent for this long, is forgotten. */
export const PING_LEARNED_MS: Ms = 45_000
export const MAX_CANDIDATES = 100

/** --- Our own choices --- */

/**
 * A round's pings are repeated this long after its start. The first ones may be eaten: between two filtering NATs both
 * sides must have sent before either lets the other in. Stock waits five seconds for its next round.
 */
export const PUNCH_AGAIN_MS: readonly Ms[] = [100, 300, 700, 1_500]
/** We send and hear nothing over the direct path for this long: ask now instead of at the next heartbeat. */
export const SILENCE_MS: Ms = 1_000
/** A pong later than this (or four times the usual latency) counts as missing. */
export const PONG_PATIENCE_MS: Ms = 500
/** So many missing pongs in a row end the trust; packets then go over the relay as well. */
export const MISSING_PONGS = 2
/** The peer is heard from another address and not from its path for this long: it may have moved, ask both. */
export const MOVED_SILENCE_MS: Ms = 200
/** A pong of the old address later than this (or four times the usual latency) then means that it has. */
export const MOVED_PATIENCE_MS: Ms = 150
/** A peer's ping from an unknown address is answered by one of ours, at most this often. */
export const PING_BACK_INTERVAL_MS: Ms = 500
/** Of a list of addresses that a peer or the server gives us; honest ones are shorter. Each costs a ping. */
export const MAX_LISTED_ENDPOINTS = 64
/** A peer may ask to be called this often at once, and then once per interval: it must not aim our pings at others. */
export const CALLS_AT_ONCE = 4
export const CALL_INTERVAL_MS: Ms = 1_000
/** Beyond this the oldest unanswered pings of a peer count as lost. */
export const MAX_OUTSTANDING_PINGS = 1_024
/** How many transitions the "why relayed?" screen can look back on. */
export const HISTORY_LENGTH = 64

/** UDP payload of a full tunnel packet: 1280 bytes inside, 16 of header and 16 of tag around it. */
export const FULL_DATAGRAM_BYTES = 1_280 + 16 + 16
export const IPV4_UDP_BYTES = 20 + 8
export const IPV6_UDP_BYTES = 40 + 8
/** Between padded pings while one is unanswered. */
export const WIDTH_TRY_MS: Ms = 250
/** So many lost in a row, while small ones come back, make an address narrow: at 20 % loss once in 27 000 times. */
export const WIDTH_TRIES = 10
/** Small pings beside them that must have been answered, for the verdict and for a doubt. */
export const SMALL_ANSWERS = { verdict: 3, doubt: 1 } as const
/** From so many lost on, packets go over the relay as well: on an address never wide, and on one that was. */
export const DOUBT_TRIES = { unproven: 2, proven: 5 } as const
/** A narrow address is tried again at so many heartbeats in a row, */
export const NARROW_RETRIES = 3
/** after the first time at first, then after twice as long each time, up to the second. */
export const NARROW_RETRY_MS: Ms = 30_000
export const MAX_NARROW_RETRY_MS: Ms = 960_000
/** As MISSING_PONGS, while packets of the peer arrive on the path. */
export const MISSING_PONGS_WHEN_HEARD = 4
