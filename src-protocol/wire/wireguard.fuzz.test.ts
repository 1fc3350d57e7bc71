import { expect, test } from 'vitest'
import { concat, fromHex } from './bytes.ts'
import { expectStable, fuzz, mutate } from './fuzz-kit.lab.ts'
import {
  decodeCookieReply,
  decodeInitiation,
  decodeResponse,
  decodeTransportHeader,
  encodeCookieReply,
  encodeInitiation,
  encodeResponse,
  encodeTransportHeader,
  messageType,
} from './wireguard.ts'

const body = (size: number) => Uint8Array.from({ length: size }, (_, i) => i * 7)
const SAMPLES = [
  concat(fromHex('01000000'), body(144)),
  concat(fromHex('02000000'), body(88)),
  concat(fromHex('03000000'), body(60)),
  concat(fromHex('04000000 88776655 0500000000000000'), body(16)),
  concat(fromHex('04000000 88776655 ffffffffffff1f00'), body(80)),
]

test('WireGuard messages: at most one decoder takes a message, and what it takes is stable', () => {
  let taken = 0
  fuzz(
    30_000,
    (random) => mutate(random, SAMPLES),
    (bytes) => {
      const by = [
        expectStable(bytes, decodeInitiation, encodeInitiation),
        expectStable(bytes, decodeResponse, encodeResponse),
        expectStable(bytes, decodeCookieReply, encodeCookieReply),
        expectStable(bytes, decodeTransportHeader, (header) => concat(encodeTransportHeader(header), body(16))),
      ]
      const type = messageType(bytes)
      for (const [i, isTaken] of by.entries()) if (isTaken && type !== i + 1) throw new Error(`type ${type}`)
      if (type > 0 && type < 4 && !by[type - 1]) throw new Error('a message of right type and size was refused')
      if (by.includes(true)) taken++
    },
  )
  expect(taken).toBeGreaterThan(1_000) // the mutations reach both sides of the fence
})
