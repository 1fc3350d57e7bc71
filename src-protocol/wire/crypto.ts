/**
 * The cryptography that codecs and machines need, as an interface: they stay pure, the implementation
 * (`src-protocol/crypto`, on node:crypto and noble) comes in as an argument. Every `open` answers undefined when the
 * tag does not match; nothing here throws on hostile input of the right size.
 */
export interface Crypto {
  randomBytes(length: number): Uint8Array
  /** X25519; undefined when the result is all zero (a low-order point), which every protocol here must refuse. */
  x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined
  x25519PublicKey(privateKey: Uint8Array): Uint8Array
  /** A clamped X25519 private key. */
  newPrivateKey(): Uint8Array
  /** BLAKE2s-256 over the concatenation. */
  blake2s(...parts: Uint8Array[]): Uint8Array
  /** HMAC-BLAKE2s-256 over the concatenation. */
  hmacBlake2s(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array
  /** Keyed BLAKE2s; `size` 16 for WireGuard MACs, 32 for relay challenges. */
  macBlake2s(key: Uint8Array, data: Uint8Array, size: 16 | 32): Uint8Array
  /** ChaCha20-Poly1305, 12-byte nonce; the sealed form is ciphertext ‖ 16-byte tag. */
  chachaSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, ad: Uint8Array): Uint8Array
  chachaOpen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, ad: Uint8Array): Uint8Array | undefined
  /** XChaCha20-Poly1305, 24-byte nonce. */
  xchachaSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, ad: Uint8Array): Uint8Array
  xchachaOpen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, ad: Uint8Array): Uint8Array | undefined
  /** NaCl box precomputation: X25519, then HSalsa20 with a zero nonce. */
  boxSharedKey(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined
  /** XSalsa20-Poly1305 in NaCl order: tag ‖ ciphertext. */
  boxSeal(sharedKey: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array
  boxOpen(sharedKey: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array | undefined
  equal(a: Uint8Array, b: Uint8Array): boolean
}
