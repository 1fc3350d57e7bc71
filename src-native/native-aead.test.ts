/** The AEADs of the native data path against Wycheproof's vectors (`vectors/wycheproof`), node:crypto and each other. */
import { createCipheriv, createDecipheriv, createHash, randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { concat, fromHex, toHex } from '../src-protocol/wire/bytes.ts'
import { loadAddon } from './addon.ts'
import type { AeadName } from './native-addon.ts'

type Bytes = Uint8Array

interface Construction {
  seal(key: Bytes, nonce: Bytes, more: Bytes, plain: Bytes): Bytes
  open(key: Bytes, nonce: Bytes, more: Bytes, sealed: Bytes): Bytes | undefined
}

const found = loadAddon()
const aeads = found.ok ? found.addon.dataPath : undefined

const TAG_BYTES = 16
const OPTIONS = { authTagLength: TAG_BYTES } as const

const oracle: Construction = {
  seal(key, nonce, more, plain) {
    const cipher = createCipheriv('chacha20-poly1305', key, nonce, OPTIONS)
    cipher.setAAD(more, { plaintextLength: plain.length })
    return concat(cipher.update(plain), cipher.final(), cipher.getAuthTag())
  },
  open(key, nonce, more, sealed) {
    const end = sealed.length - TAG_BYTES
    const decipher = createDecipheriv('chacha20-poly1305', key, nonce, OPTIONS)
    decipher.setAAD(more, { plaintextLength: end })
    decipher.setAuthTag(sealed.subarray(end))
    const plain = decipher.update(sealed.subarray(0, end))
    try {
      return concat(plain, decipher.final())
    } catch {
      return undefined // only a wrong tag makes final() throw here
    }
  },
}

function backend(name: AeadName): Construction | undefined {
  if (aeads?.hasBackend(name) !== true) return undefined
  return {
    seal: (key, nonce, more, plain) => new Uint8Array(aeads.aeadSeal(name, key, nonce, more, plain)),
    open(key, nonce, more, sealed) {
      const plain = aeads.aeadOpen(name, key, nonce, more, sealed)
      return plain === undefined ? undefined : new Uint8Array(plain)
    },
  }
}

const natives: readonly (readonly [AeadName, Construction | undefined])[] = [
  ['openssl', backend('openssl')],
  ['openssl-evp', backend('openssl-evp')],
  ['ipsec-mb', backend('ipsec-mb')],
]

interface Vector {
  readonly tcId: number
  readonly comment: string
  readonly result: 'valid' | 'invalid'
  readonly flags: readonly string[]
  readonly key: string
  readonly iv: string
  readonly aad: string
  readonly msg: string
  readonly ct: string
  readonly tag: string
}

const file = JSON.parse(
  readFileSync(new URL('vectors/wycheproof/chacha20_poly1305_test.json', import.meta.url), 'utf8'),
) as { readonly numberOfTests: number; readonly testGroups: readonly { readonly tests: readonly Vector[] }[] }
const vectors = file.testGroups.flatMap(({ tests }) => tests)
const fits = ({ iv }: Vector) => iv.length === 24

/** What it makes of one vector: the sealed message, and the opened one or undefined. */
function answer(aead: Construction, vector: Vector) {
  const [key, nonce, more] = [fromHex(vector.key), fromHex(vector.iv), fromHex(vector.aad)]
  const opened = aead.open(key, nonce, more, fromHex(vector.ct + vector.tag))
  return {
    id: vector.tcId,
    sealed: toHex(aead.seal(key, nonce, more, fromHex(vector.msg))),
    opened: opened === undefined ? undefined : toHex(opened),
  }
}

describe.each([['node:crypto', oracle] as const, ...natives])('%s', (_name, aead) => {
  test.skipIf(aead === undefined)('every Wycheproof vector whose nonce has 12 bytes', () => {
    const fitting = vectors.filter(fits)
    expect(fitting.map((vector) => answer(aead!, vector))).toEqual(
      fitting.map(({ tcId, result, msg, ct, tag }, index) => ({
        id: tcId,
        // A forged vector's own tag is not what sealing makes; the oracle says what is.
        sealed: result === 'valid' ? ct + tag : answer(oracle, fitting[index]!).sealed,
        opened: result === 'valid' ? msg : undefined,
      })),
    )
  })
})

test('the vectors are all there', () => {
  const count = (wanted: (vector: Vector) => boolean) => vectors.filter(wanted).length
  expect([file.numberOfTests, vectors.length, count(fits)]).toEqual([325, 325, 316])
  expect(count(({ result }) => result === 'valid')).toBe(256)
  expect(count((vector) => !fits(vector) && vector.result === 'valid')).toBe(0)
})

describe.each(natives)('%s', (_name, aead) => {
  test.skipIf(aead === undefined)('every Wycheproof vector whose nonce has another size is refused', () => {
    for (const vector of vectors.filter((each) => !fits(each))) {
      const [key, nonce, more] = [fromHex(vector.key), fromHex(vector.iv), fromHex(vector.aad)]
      expect(() => aead!.seal(key, nonce, more, fromHex(vector.msg))).toThrow('AEAD')
      expect(() => aead!.open(key, nonce, more, fromHex(vector.ct + vector.tag))).toThrow('AEAD')
    }
  })

  test.skipIf(aead === undefined)('sizes that do not fit are refused', () => {
    const [key, nonce, none] = [new Uint8Array(32), new Uint8Array(12), new Uint8Array(0)]
    for (const bytes of [0, 16, 31, 33, 64]) {
      expect(() => aead!.seal(new Uint8Array(bytes), nonce, none, none)).toThrow('AEAD')
      expect(() => aead!.open(new Uint8Array(bytes), nonce, none, new Uint8Array(16))).toThrow('AEAD')
    }
    for (let bytes = 0; bytes < TAG_BYTES; bytes++) {
      expect(() => aead!.open(key, nonce, none, new Uint8Array(bytes))).toThrow('AEAD')
    }
  })
})

let zeros = Buffer.alloc(2 ** 20)

/** A key stream makes random bytes fast, and the same ones for the same seed. */
function randomStream(seed: string): (bytes: number) => Buffer {
  const key = createHash('sha256').update(seed).digest()
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16))
  return (bytes) => {
    if (zeros.length < bytes) zeros = Buffer.alloc(bytes)
    return cipher.update(zeros.subarray(0, bytes))
  }
}

// 32 key · 12 nonce · 4 size · data · 16 tag, as `addon/datapath/aead-binding.cpp` has it.
const HEAD_BYTES = 48
const SIZE_AT = 44

/** Half of the sizes as in a tunnel, multiples of 16; a few of the largest packets there are. */
function sizeOf(dice: number): number {
  if (dice % 400 === 0) return 1501 + ((dice >>> 10) % (65_536 - 1501))
  return dice % 2 === 0 ? 16 * ((dice >>> 10) % 94) : (dice >>> 10) % 1501
}

interface Packet {
  readonly start: number
  readonly end: number
  readonly isForged: boolean
}

function randomPackets(seed: string, count: number) {
  const random = randomStream(seed)
  const control = random(12 * count)
  const packets: Packet[] = []
  let end = 0
  for (let i = 0; i < count; i++) {
    const start = end
    end += HEAD_BYTES + sizeOf(control.readUInt32LE(12 * i)) + TAG_BYTES
    packets.push({ start, end, isForged: control.readUInt32LE(12 * i + 4) % 3 === 0 })
  }
  const records = random(end)
  for (const { start, end } of packets) records.writeUInt32LE(end - start - HEAD_BYTES - TAG_BYTES, start + SIZE_AT)
  /** Flips a bit of the key, the nonce, the data or the tag of every packet that is to be forged. */
  const forge = (sealed: Buffer) => {
    packets.forEach(({ start, end, isForged }, i) => {
      if (!isForged) return
      const dice = control.readUInt32LE(12 * i + 8)
      const place = (dice >>> 3) % (end - start - 4)
      const at = start + (place < SIZE_AT ? place : place + 4)
      sealed[at] = sealed[at]! ^ (1 << (dice % 8))
    })
  }
  return { packets, records, forge }
}

/** The first packet that differs; -1 = none. */
function differs(packets: readonly Packet[], one: Buffer, other: Buffer): number {
  if (one.equals(other)) return -1
  return packets.findIndex(({ start, end }) => one.compare(other, start, end, start, end) !== 0)
}

describe('random packets, a third of them forged', () => {
  const AT_ONCE = 1_000
  const run = (name: AeadName, opens: 0 | 1, records: Buffer) => Buffer.from(aeads!.aeadBatch(name, opens, records))

  test.for([
    ['openssl', 'openssl-evp', 100_000],
    ['ipsec-mb', 'openssl', 1_000_000],
  ] as const)('%s and %s agree on %d', { timeout: 120_000 }, ([name, other, count], { skip }) => {
    if (aeads === undefined) return skip('no addon')
    if (!aeads.hasBackend(name)) return skip(`${name}: ${aeads.aeadProblem()}`)
    const seed = randomInt(2 ** 31)
    let forgeries = 0
    for (let done = 0; done < count; done += AT_ONCE) {
      const { packets, records, forge } = randomPackets(`${seed}/${done}`, AT_ONCE)
      const sealed = run(name, 0, records)
      const first = (fault: number, what: string) => {
        if (fault >= 0) expect.fail(`${what}: packet ${fault} of seed ${seed}/${done}`)
      }
      first(differs(packets, sealed, run(other, 0, records)), 'sealed differently')
      forge(sealed)
      const opened = run(name, 1, sealed)
      first(differs(packets, opened, run(other, 1, sealed)), 'opened differently')
      const isWrong = ({ start, end, isForged }: Packet) => {
        if (isForged) return opened[end - 1] !== 0
        const [from, to] = [start + HEAD_BYTES, end - TAG_BYTES]
        return opened[end - 1] !== 1 || opened.compare(records, from, to, from, to) !== 0
      }
      first(packets.findIndex(isWrong), 'taken or refused wrongly')
      forgeries += packets.filter(({ isForged }) => isForged).length
    }
    expect(forgeries).toBeGreaterThan(count * 0.3)
  })
})
