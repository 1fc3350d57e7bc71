/** The AEADs of the native data path against Wycheproof's vectors (`vectors/wycheproof`), node:crypto and each other. */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { concat, fromHex, toHex } from '../src-protocol/wire/bytes.ts'
import { loadAddon } from './addon.ts'

type BackendName = 'openssl' | 'ipsec-mb'
type Bytes = Uint8Array

interface Aeads {
  hasBackend(name: BackendName): boolean
  aeadSeal(name: BackendName, key: Bytes, nonce: Bytes, more: Bytes, plain: Bytes): ArrayBuffer
  aeadOpen(name: BackendName, key: Bytes, nonce: Bytes, more: Bytes, sealed: Bytes): ArrayBuffer | undefined
}

interface Construction {
  seal(key: Bytes, nonce: Bytes, more: Bytes, plain: Bytes): Bytes
  open(key: Bytes, nonce: Bytes, more: Bytes, sealed: Bytes): Bytes | undefined
}

const found = loadAddon()
const aeads = found.ok ? (found.addon as unknown as { readonly dataPath: Aeads }).dataPath : undefined

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

function backend(name: BackendName): Construction | undefined {
  if (aeads?.hasBackend(name) !== true) return undefined
  return {
    seal: (key, nonce, more, plain) => new Uint8Array(aeads.aeadSeal(name, key, nonce, more, plain)),
    open(key, nonce, more, sealed) {
      const plain = aeads.aeadOpen(name, key, nonce, more, sealed)
      return plain === undefined ? undefined : new Uint8Array(plain)
    },
  }
}

const natives: readonly (readonly [BackendName, Construction | undefined])[] = [
  ['openssl', backend('openssl')],
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
