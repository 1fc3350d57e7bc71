import { zstdDecompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../crypto/node-crypto.ts'
import { concat, fromHex, toHex } from './bytes.ts'
import { encodeMapMessage, MapMessageReader, storedZstdFrame } from './map-framing.ts'
import { utf8 } from './text.ts'

describe('message stream', () => {
  const messages = [utf8('{"KeepAlive":true}'), new Uint8Array(0), nodeCrypto.randomBytes(70_000), utf8('{}')]
  const wire = concat(...messages.map(encodeMapMessage))

  test('[CTL-4.2] the length is little-endian', () => {
    expect(toHex(encodeMapMessage(utf8('{}')))).toBe('020000007b7d')
  })
  test('[CTL-4.2] any slicing gives the same messages', () => {
    for (const slice of [1, 3, 1000, 69_999, wire.length]) {
      const reader = new MapMessageReader(100_000)
      const read: Uint8Array[] = []
      for (let at = 0; at < wire.length; at += slice) {
        const part = reader.push(wire.slice(at, at + slice))
        if (!part.ok) throw new Error(part.reason)
        read.push(...part.value)
      }
      expect(read.map(toHex)).toEqual(messages.map(toHex))
      expect(reader.isAtBoundary).toBe(true)
    }
  })
  test('[CTL-4.2] a message over the limit is refused before it is held, and for good', () => {
    const reader = new MapMessageReader(10)
    expect(reader.push(fromHex('0b000000'))).toEqual({ ok: false, reason: 'map-size' })
    expect(reader.push(encodeMapMessage(utf8('{}')))).toEqual({ ok: false, reason: 'map-size' })
  })
  test('[CTL-4.2] a cut message is not at a boundary', () => {
    const reader = new MapMessageReader(100)
    expect(reader.push(fromHex('02000000 7b'))).toEqual({ ok: true, value: [] })
    expect(reader.isAtBoundary).toBe(false)
  })
})

describe('stored zstd frame', () => {
  test('[CTL-4.3] the known keep-alive', () => {
    expect(toHex(encodeMapMessage(storedZstdFrame(utf8('{"KeepAlive":true}'))))).toBe(
      '1b00000028b52ffd20129100007b224b656570416c697665223a747275657d',
    )
  })
  test('[CTL-4.3] real zstd reads every size class', () => {
    for (const size of [0, 1, 255, 256, 65_791, 65_792, 131_071, 131_072, 131_073, 262_144, 400_000]) {
      const content = nodeCrypto.randomBytes(size)
      expect(toHex(zstdDecompressSync(storedZstdFrame(content))), `${size} bytes`).toBe(toHex(content))
    }
  })
})
