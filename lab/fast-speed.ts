/** How much faster WireGuard's own times pass in the fast programs; `scripts/fast-peers.mjs` says the same number. */
export const WIREGUARD_SPEED = 30
