import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { fromHex, toHex } from '../src-protocol/wire/bytes.ts'
import { loadAddon } from './addon.ts'
import { type Aead, addonAead, MIN_TRANSPORT_BYTES, nodeAead } from './aead.ts'

const found = loadAddon()
const native = found.ok ? addonAead(found.addon) : undefined
const KEY = fromHex('0f998bee77139ddbb18df822042908cf8a711318e8818271a46418d2c5fcbd28')

function seal(aead: Aead, header: Uint8Array, plain: Uint8Array): Uint8Array {
  const target = new Uint8Array(MIN_TRANSPORT_BYTES + plain.length)
  target.set(header)
  aead.seal(plain, target)
  return target
}
const headerOf = (counter: bigint) => {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(4)
  header.writeBigUInt64LE(counter, 8)
  return header
}
const opened = (aead: Aead, datagram: Uint8Array) => aead.open(datagram)?.slice()

describe.each([
  ['node:crypto', nodeAead],
  ['addon', native],
])('%s', (_name, kind) => {
  const run = kind === undefined ? test.skip : test
  run('[WG-2] known answer: keepalive', () => {
    const sealed = fromHex('04000000887766550000000000000000002fbf4fa9c54bfb0b0bbd8f66a18980')
    expect(toHex(seal(kind!.create(KEY, KEY), sealed.slice(0, 16), new Uint8Array(0)))).toBe(toHex(sealed))
    expect(opened(kind!.create(KEY, KEY), sealed)).toHaveLength(0)
  })

  run('every changed byte behind the index is noticed, and the next good one still opens', () => {
    const aead = kind!.create(KEY, KEY)
    const good = seal(aead, headerOf(77n), new Uint8Array(48).fill(9))
    for (let i = 8; i < good.length; i++) {
      const forged = good.slice()
      forged[i] = forged[i]! ^ 0x80
      expect(opened(aead, forged)).toBeUndefined()
      expect(opened(aead, good)).toHaveLength(48)
    }
  })
})

test.skipIf(native === undefined)('both agree on random packets of all sizes', () => {
  for (let round = 0; round < 3_000; round++) {
    const keys = [randomBytes(32), randomBytes(32)] as const
    const plain = new Uint8Array(randomBytes(round % 1500))
    const header = headerOf(randomBytes(8).readBigUInt64LE())
    const [a, b] = [nodeAead.create(...keys), native!.create(keys[1], keys[0])]
    const sealed = seal(a, header, plain)
    expect(Buffer.compare(seal(native!.create(...keys), header, plain), sealed)).toBe(0)
    expect(Buffer.compare(opened(b, sealed)!, plain)).toBe(0)
  }
})

test.skipIf(native === undefined)('the addon refuses sizes that do not fit', () => {
  if (!found.ok) return
  const handle = found.addon.createAead(KEY, KEY)
  expect(() => found.addon.seal(handle, new Uint8Array(10), new Uint8Array(41))).toThrow('seal')
  expect(() => found.addon.open(handle, new Uint8Array(31), new Uint8Array(9))).toThrow('open')
  expect(() => found.addon.open(handle, new Uint8Array(48), new Uint8Array(15))).toThrow('open')
  expect(() => found.addon.createAead(new Uint8Array(31), KEY)).toThrow('key')
})
