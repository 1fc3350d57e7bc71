import { describe, expect, test } from 'vitest'
import { concat, fromHex, isAllZero, toHex } from '../wire/bytes.ts'
import { utf8 } from '../wire/text.ts'
import { nodeCrypto } from './node-crypto.ts'

const count = (from: number, length: number) => Uint8Array.from({ length }, (_, i) => from + i)
const hex = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : toHex(bytes))

describe('X25519', () => {
  test('RFC 7748 §5.2', () => {
    const scalar = fromHex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4')
    const point = fromHex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c')
    expect(hex(nodeCrypto.x25519(scalar, point))).toBe(
      'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
    )
  })
  test('public key of a known private key', () => {
    const machine = fromHex('101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e6f')
    expect(hex(nodeCrypto.x25519PublicKey(machine))).toBe(
      'd89e3bad79437dbed9f843418304f460ff05c7fe81fe4a9577a804cb9367ff66',
    )
  })
  test('both ends agree; private keys are clamped', () => {
    for (let i = 0; i < 20; i++) {
      const [a, b] = [nodeCrypto.newPrivateKey(), nodeCrypto.newPrivateKey()]
      expect([a[0]! & 7, a[31]! & 0xc0]).toEqual([0, 0x40])
      expect(hex(nodeCrypto.x25519(a, nodeCrypto.x25519PublicKey(b)))).toBe(
        hex(nodeCrypto.x25519(b, nodeCrypto.x25519PublicKey(a))),
      )
    }
  })
  test('every low-order point is refused', () => {
    const points = [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    ]
    for (const point of points) expect(nodeCrypto.x25519(nodeCrypto.newPrivateKey(), fromHex(point))).toBeUndefined()
  })
  test('keys of another length are a mistake of ours', () => {
    expect(() => nodeCrypto.x25519(new Uint8Array(31), new Uint8Array(32))).toThrow(RangeError)
    expect(() => nodeCrypto.x25519(nodeCrypto.newPrivateKey(), new Uint8Array(33))).toThrow(RangeError)
  })
})

describe('BLAKE2s', () => {
  test('RFC 7693 appendix B, in parts', () => {
    const digest = '508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982'
    expect(hex(nodeCrypto.blake2s(utf8('abc')))).toBe(digest)
    expect(hex(nodeCrypto.blake2s(utf8('a'), new Uint8Array(0), utf8('bc')))).toBe(digest)
  })
  test('HMAC and keyed, computed independently', () => {
    const key = count(0, 32)
    expect(hex(nodeCrypto.hmacBlake2s(key, utf8('abc'), utf8('def')))).toBe(
      '1ef2d7815adf4d6574d350f506c50442eda2fe590df41df56f470a9e0b6413d4',
    )
    expect(hex(nodeCrypto.macBlake2s(key, new Uint8Array(0), 32))).toBe(
      '48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49',
    )
    expect(hex(nodeCrypto.macBlake2s(key, count(0, 116), 16))).toBe('072e94ffbfc684bd8ab2a1b9dade2fd5')
  })
})

const sunscreen = utf8(
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
)

describe('ChaCha20-Poly1305', () => {
  const key = count(0x80, 32)
  const ad = fromHex('50515253c0c1c2c3c4c5c6c7')
  const nonce = fromHex('070000004041424344454647')
  const wide = count(0x40, 24)

  test('RFC 8439 §2.8.2', () => {
    const sealed = nodeCrypto.chachaSeal(key, nonce, sunscreen, ad)
    expect(hex(sealed.subarray(0, 16))).toBe('d31a8d34648e60db7b86afbc53ef7ec2')
    expect(hex(sealed.subarray(sunscreen.length))).toBe('1ae10b594f09e26a7e902ecbd0600691')
    expect(hex(nodeCrypto.chachaOpen(key, nonce, sealed, ad))).toBe(hex(sunscreen))
  })
  test('XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03 §A.3.1', () => {
    const sealed = nodeCrypto.xchachaSeal(key, wide, sunscreen, ad)
    expect(hex(sealed.subarray(0, 16))).toBe('bd6d179d3e83d43b9576579493c0e939')
    expect(hex(sealed.subarray(sunscreen.length))).toBe('c0875924c1c7987947deafd8780acf49')
    expect(hex(nodeCrypto.xchachaOpen(key, wide, sealed, ad))).toBe(hex(sunscreen))
  })
  test('one changed bit anywhere, another nonce, key or associated data, any cut: undefined', () => {
    const ciphers = [
      [nonce, nodeCrypto.chachaSeal, nodeCrypto.chachaOpen],
      [wide, nodeCrypto.xchachaSeal, nodeCrypto.xchachaOpen],
    ] as const
    for (const [n, seal, open] of ciphers) {
      const sealed = seal(key, n, fromHex('01020304'), ad)
      for (let i = 0; i < sealed.length; i++) {
        const broken = sealed.slice()
        broken[i]! ^= 0x10
        expect(open(key, n, broken, ad)).toBeUndefined()
        expect(open(key, n, sealed.subarray(0, i), ad)).toBeUndefined()
      }
      expect(open(key, n, sealed, fromHex('51'))).toBeUndefined()
      expect(open(key, count(1, n.length), sealed, ad)).toBeUndefined()
      expect(open(count(1, 32), n, sealed, ad)).toBeUndefined()
      expect(hex(open(key, n, seal(key, n, new Uint8Array(0), ad), ad))).toBe('')
    }
  })
})

describe('NaCl box', () => {
  const alice = fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a')
  const bobPublic = fromHex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f')
  const nonce = fromHex('69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37')
  const message = fromHex(
    'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4' +
      '1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52' +
      'f0a089bc76897040e082f937763848645e0705',
  )
  test("the paper's shared key, ciphertext and tag", () => {
    expect(hex(nodeCrypto.x25519(alice, bobPublic))).toBe(
      '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
    )
    const shared = nodeCrypto.boxSharedKey(alice, bobPublic)!
    expect(hex(shared)).toBe('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389')
    const sealed = nodeCrypto.boxSeal(shared, nonce, message)
    expect(hex(sealed.subarray(0, 48))).toBe(
      'f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186a',
    )
    expect(hex(nodeCrypto.boxOpen(shared, nonce, sealed))).toBe(hex(message))
    for (let i = 0; i < sealed.length; i += 5) {
      const broken = sealed.slice()
      broken[i]! ^= 1
      expect(nodeCrypto.boxOpen(shared, nonce, broken)).toBeUndefined()
      expect(nodeCrypto.boxOpen(shared, nonce, sealed.subarray(0, i))).toBeUndefined()
    }
  })
  test('a low-order point has no shared key', () => {
    expect(nodeCrypto.boxSharedKey(alice, new Uint8Array(32))).toBeUndefined()
  })
})

test('random bytes and comparison', () => {
  expect(isAllZero(nodeCrypto.randomBytes(32))).toBe(false)
  expect(nodeCrypto.randomBytes(5).length).toBe(5)
  expect(nodeCrypto.equal(count(0, 4), count(0, 4))).toBe(true)
  expect(nodeCrypto.equal(count(0, 4), count(1, 4))).toBe(false)
  expect(nodeCrypto.equal(count(0, 4), concat(count(0, 4), count(0, 1)))).toBe(false)
})

test('inputs may be slices of larger buffers', () => {
  const big = nodeCrypto.randomBytes(100)
  const key = big.subarray(10, 42)
  const sealed = nodeCrypto.chachaSeal(key, big.subarray(50, 62), big.subarray(3, 9), big.subarray(70))
  expect(hex(nodeCrypto.chachaOpen(key.slice(), big.slice(50, 62), sealed, big.slice(70)))).toBe(hex(big.slice(3, 9)))
  const [secret, point] = [nodeCrypto.newPrivateKey(), nodeCrypto.x25519PublicKey(nodeCrypto.newPrivateKey())]
  const shared = nodeCrypto.boxSharedKey(concat(big, secret).subarray(100), concat(big, point).subarray(100))
  expect(hex(shared)).toBe(hex(nodeCrypto.boxSharedKey(secret, point)))
})
