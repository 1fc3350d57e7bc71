import { expect, test } from 'vitest'
import type { IpPort } from '../../src-contract/ids.ts'
import { toHex } from './bytes.ts'
import { fuzz, mutate, Random } from './fuzz-kit.lab.ts'
import { utf8 } from './text.ts'
import {
  encodeUapiErrno,
  encodeUapiState,
  MAX_LINE_BYTES,
  MAX_REQUEST_BYTES,
  UapiReader,
  type UapiRequest,
  uapiErrno,
} from './uapi.ts'

const key = (byte: number) => new Uint8Array(32).fill(byte)
const hex = (byte: number) => toHex(key(byte))
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const read = (...lines: string[]) => new UapiReader().push(utf8(lines.map((line) => `${line}\n`).join('')))
const refused = (errno: string, reason: string) => [{ kind: 'invalid', errno, reason, isFatal: false }]

const WHOLE = [
  'set=1',
  `private_key=${hex(1)}`,
  'listen_port=51820',
  'fwmark=4294967295',
  'replace_peers=true',
  `public_key=${hex(2)}`,
  `preshared_key=${hex(3)}`,
  'endpoint=192.0.2.7:4711',
  'persistent_keepalive_interval=25',
  'replace_allowed_ips=true',
  'allowed_ip=10.1.2.3/24',
  'allowed_ip=-10.9.0.0/16',
  'allowed_ip=fd00::1/64',
  'protocol_version=1',
  `public_key=${hex(4)}`,
  'update_only=true',
  'endpoint=[2001:db8::1]:1',
  `public_key=${hex(5)}`,
  'remove=true',
  '',
]
const WHOLE_CHANGE = {
  privateKey: key(1),
  listenPort: 51820,
  fwmark: 0xffffffff,
  replacePeers: true,
  peers: [
    {
      publicKey: key(2),
      remove: false,
      updateOnly: false,
      presharedKey: key(3),
      endpoint: '192.0.2.7:4711',
      persistentKeepaliveSeconds: 25,
      replaceAllowedIps: true,
      allowedIps: [
        { prefix: '10.1.2.0/24', isRemoval: false },
        { prefix: '10.9.0.0/16', isRemoval: true },
        { prefix: 'fd00::/64', isRemoval: false },
      ],
    },
    {
      publicKey: key(4),
      remove: false,
      updateOnly: true,
      endpoint: '[2001:db8::1]:1',
      replaceAllowedIps: false,
      allowedIps: [],
    },
    { publicKey: key(5), remove: true, updateOnly: false, replaceAllowedIps: false, allowedIps: [] },
  ],
}

test('[UAPI-1.1] get and set, one after another on one connection', () => {
  expect(read('get=1', '', ...WHOLE, 'get=1', '')).toEqual([
    { kind: 'get' },
    { kind: 'set', change: WHOLE_CHANGE },
    { kind: 'get' },
  ])
})

test('[UAPI-1.1] the same in any pieces', () => {
  const bytes = utf8(WHOLE.map((line) => `${line}\n`).join(''))
  const random = new Random()
  for (let round = 0; round < 200; round++) {
    const reader = new UapiReader()
    const requests = random.slices(bytes).flatMap((piece) => reader.push(piece))
    expect(requests, `seed ${random.seed}`).toEqual([{ kind: 'set', change: WHOLE_CHANGE }])
  }
})

test('[UAPI-1.2] cut anywhere it is no request yet', () => {
  const bytes = utf8(WHOLE.map((line) => `${line}\n`).join(''))
  for (let length = 0; length < bytes.length; length++) {
    expect(new UapiReader().push(bytes.subarray(0, length))).toEqual([])
  }
})

test('[UAPI-1.3] one bad line refuses the whole request, and the connection goes on', () => {
  const peer = `public_key=${hex(2)}`
  const cases: [string[], string, string][] = [
    [['no key value'], 'EPROTO', 'no-key-value'],
    [['surprise=1'], 'EINVAL', 'device-key'],
    [['listen_port=65536'], 'EINVAL', 'number'],
    [['listen_port=-1'], 'EINVAL', 'number'],
    [['listen_port='], 'EINVAL', 'number'],
    [['fwmark=4294967296'], 'EINVAL', 'number'],
    [['fwmark=0x10'], 'EINVAL', 'number'],
    [['replace_peers=false'], 'EINVAL', 'not-true'],
    [[`private_key=${hex(1)}0`], 'EINVAL', 'key-length'],
    [[`private_key=${hex(1).slice(1)}g`], 'EINVAL', 'hex-digit'],
    [['public_key='], 'EINVAL', 'key-length'],
    [[peer, 'listen_port=1'], 'EINVAL', 'peer-key'],
    [[peer, 'remove=1'], 'EINVAL', 'not-true'],
    [[peer, 'update_only='], 'EINVAL', 'not-true'],
    [[peer, 'endpoint=example.com:1'], 'EINVAL', 'ip-text'],
    [[peer, 'endpoint=192.0.2.1'], 'EINVAL', 'ip-port-text'],
    [[peer, 'allowed_ip=10.0.0.0'], 'EINVAL', 'prefix-text'],
    [[peer, 'allowed_ip=10.0.0.0/33'], 'EINVAL', 'prefix-text'],
    [[peer, 'allowed_ip=--10.0.0.0/8'], 'EINVAL', 'ip-text'],
    [[peer, 'allowed_ip=10.0.0.0/8\r'], 'EINVAL', 'prefix-text'],
    [[peer, 'persistent_keepalive_interval=65536'], 'EINVAL', 'number'],
    [[peer, 'protocol_version=2'], 'EINVAL', 'protocol-version'],
  ]
  for (const [lines, errno, reason] of cases) {
    const requests = read('set=1', 'listen_port=1', ...lines, 'fwmark=1', '', 'get=1', '')
    expect(requests, lines.join(' ')).toEqual([...refused(errno, reason), { kind: 'get' }])
  }
  expect(read('get=1', 'listen_port=1', '', 'get=1', '')).toEqual([
    ...refused('EINVAL', 'get-with-lines'),
    { kind: 'get' },
  ])
})

test('[UAPI-1.4] keys of zeros mean none', () => {
  expect(read('set=1', `private_key=${hex(0)}`, `public_key=${hex(0)}`, `preshared_key=${hex(0)}`, '')).toEqual([
    {
      kind: 'set',
      change: {
        privateKey: null,
        replacePeers: false,
        peers: [
          {
            publicKey: key(0),
            presharedKey: null,
            remove: false,
            updateOnly: false,
            replaceAllowedIps: false,
            allowedIps: [],
          },
        ],
      },
    },
  ])
})

test('[UAPI-1.5] replacing the prefixes forgets those named before it', () => {
  const [request] = read('set=1', `public_key=${hex(2)}`, 'allowed_ip=10.0.0.0/8', 'replace_allowed_ips=true', '')
  expect(request).toMatchObject({ change: { peers: [{ replaceAllowedIps: true, allowedIps: [] }] } })
})

test('[UAPI-1.6] unknown operations, endless lines and endless requests end the connection', () => {
  const fatal = (reason: string) => [{ kind: 'invalid', errno: 'EPROTO', reason, isFatal: true }]
  for (const operation of ['', 'get=2', 'set=', 'GET / HTTP/1.1', 'get=1\r', '\xff']) {
    expect(read(operation, 'get=1', ''), operation).toEqual(fatal('unknown-operation'))
  }
  const reader = new UapiReader()
  expect(reader.push(utf8('set=1\n'))).toEqual([])
  expect(reader.push(new Uint8Array(MAX_LINE_BYTES).fill(0x61))).toEqual([])
  expect(reader.push(new Uint8Array(1).fill(0x61))).toEqual(fatal('line-too-long'))
  expect(reader.push(utf8('\n\nget=1\n\n'))).toEqual([])

  const endless = new UapiReader()
  endless.push(utf8(`set=1\npublic_key=${hex(2)}\n`))
  const lines = utf8('allowed_ip=10.0.0.0/8\n'.repeat(10_000))
  const answers: UapiRequest[] = []
  let pushed = 0
  while (answers.length === 0 && pushed <= MAX_REQUEST_BYTES) {
    answers.push(...endless.push(lines))
    pushed += lines.length
  }
  expect(answers).toEqual(fatal('request-too-long'))
})

test('[UAPI-1.7] hostile bytes: an answer or silence, never an exception, and never a wrong number', () => {
  const samples = [utf8(WHOLE.map((line) => `${line}\n`).join('')), utf8('get=1\n\n')]
  fuzz(
    3_000,
    (random) => mutate(random, samples),
    (bytes) => {
      for (const request of new UapiReader().push(bytes)) {
        if (request.kind === 'invalid') expect(uapiErrno).toHaveProperty(request.errno)
        if (request.kind !== 'set') continue
        expect(request.change.listenPort ?? 0).toBeLessThan(65536)
        for (const peer of request.change.peers) expect(peer.publicKey).toHaveLength(32)
      }
    },
  )
  const random = new Random()
  for (let round = 0; round < 500; round++) new UapiReader().push(random.bytes(300))
})

test('[UAPI-2.1] the reply to get', () => {
  const reply = encodeUapiState({
    privateKey: key(1),
    listenPort: 51820,
    fwmark: 0x80000,
    peers: [
      {
        publicKey: key(2),
        presharedKey: key(3),
        endpoint: '[2001:db8::1]:4711' as IpPort,
        lastHandshakeMs: 1_700_000_000_123.4,
        rxBytes: 2 ** 40,
        txBytes: 92,
        persistentKeepaliveSeconds: 25,
        allowedIps: ['10.0.0.0/8', '::/0'],
      },
      { publicKey: key(4), rxBytes: 0, txBytes: 0, persistentKeepaliveSeconds: 0, allowedIps: [] },
    ],
  })
  expect(text(reply).split('\n')).toEqual([
    `private_key=${hex(1)}`,
    'listen_port=51820',
    'fwmark=524288',
    `public_key=${hex(2)}`,
    `preshared_key=${hex(3)}`,
    'protocol_version=1',
    'endpoint=[2001:db8::1]:4711',
    'last_handshake_time_sec=1700000000',
    'last_handshake_time_nsec=123000000',
    'tx_bytes=92',
    'rx_bytes=1099511627776',
    'persistent_keepalive_interval=25',
    'allowed_ip=10.0.0.0/8',
    'allowed_ip=::/0',
    `public_key=${hex(4)}`,
    'protocol_version=1',
    'last_handshake_time_sec=0',
    'last_handshake_time_nsec=0',
    'tx_bytes=0',
    'rx_bytes=0',
    'persistent_keepalive_interval=0',
    'errno=0',
    '',
    '',
  ])
})

test('[UAPI-2.2] what is not set is left out, and errors are negative numbers', () => {
  expect(text(encodeUapiState({ privateKey: undefined, listenPort: 0, fwmark: 0, peers: [] }))).toBe('errno=0\n\n')
  expect(text(encodeUapiErrno(undefined))).toBe('errno=0\n\n')
  expect(text(encodeUapiErrno('EPERM'))).toBe('errno=-1\n\n')
  expect(text(encodeUapiErrno('EADDRINUSE'))).toBe('errno=-98\n\n')
})
