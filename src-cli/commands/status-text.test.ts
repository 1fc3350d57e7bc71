import { describe, expect, test } from 'vitest'
import type { PeerStatus } from '../../src-contract/localapi/status.ts'
import { blankPeer, blankStatus, runningStatus } from '../fake-daemon.lab.ts'
import { funnelFooter } from './funnel-footer.ts'
import { healthBlock, lastSeen, notRunningText, statusTable } from './status-text.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')
const ALL = { active: false, header: false, peers: true, self: true, nowMs: NOW }
const stateOf = (more: Partial<PeerStatus>) => {
  const peer = blankPeer({ DNSName: 'x.', TailscaleIPs: ['1.1.1.1'], ...more })
  const { text } = statusTable(blankStatus({ Peer: { a: peer } }), { ...ALL, self: false })
  return text.split('  ').at(4)?.trim() ?? text
}

test('[CLI-4] the table: this machine first, aligned, with owners', () => {
  const nas = 'active; offers exit node; direct 203.0.113.5:41641, tx 100 rx 200'
  const column = (text: string) => text.padEnd(nas.length + 2)
  expect(statusTable(runningStatus(), ALL)).toEqual({
    text: [
      `100.64.0.1  air    ann@            linux    ${column('-')}`,
      `100.64.0.2  nas    ann@            linux    ${column(nas)}`,
      `100.64.0.3  phone  tagged-devices  android  ${column('active; relay "tok"')}`,
      '',
    ].join('\n'),
    hiddenExitNodes: false,
  })
})

test('[CLI-4] headers, and only what is wanted', () => {
  expect(statusTable(runningStatus(), { ...ALL, header: true, peers: false }).text).toBe(
    `IP          Hostname  Owner  OS     Status  
--          --------  -----  --     ------  
100.64.0.1  air       ann@   linux  -       
`,
  )
  expect(statusTable(runningStatus(), { ...ALL, self: false, peers: false }).text).toBe('')
})

describe('[CLI-4] [U8] the words of a state', () => {
  test.each<[Partial<PeerStatus>, string]>([
    [{}, '-'],
    [{ Online: false }, 'offline'],
    [{ Online: false, LastSeen: '2026-03-01T11:59:50Z' }, 'offline, last seen 1m ago'],
    [{ TxBytes: 5 }, 'idle, tx 5 rx 0'],
    [{ TxBytes: 5, Online: false }, 'idle; offline, tx 5 rx 0'],
    [{ ExitNodeOption: true }, 'idle; offers exit node'],
    [{ ExitNode: true, ExitNodeOption: true, Online: false }, 'idle; exit node; offline'],
    [{ Active: true, Relay: 'tok' }, 'active; relay "tok"'],
    [{ Active: true, Relay: 'tok', CurAddr: '1.2.3.4:5', RxBytes: 7 }, 'active; direct 1.2.3.4:5, tx 0 rx 7'],
    [{ Active: true, Relay: 'tok', PeerRelay: '1.2.3.4:5:vni:1' }, 'active; peer-relay 1.2.3.4:5:vni:1'],
    [{ Active: true, ExitNode: true, Relay: 'tok', Online: false }, 'active; exit node; relay "tok"; offline'],
  ])('%o', (peer, words) => expect(stateOf(peer)).toBe(words))
})

test('[CLI-4] names, owners, hidden peers, order', () => {
  const peers = {
    a: blankPeer({ DNSName: 'b.example.ts.net.', UserID: 9 }),
    b: blankPeer({ DNSName: '', HostName: 'My Mac.local', UserID: 0 }),
    c: blankPeer({ DNSName: 'a.other.net.', AltSharerUserID: 2 }),
    d: blankPeer({ DNSName: 'shared.', ShareeNode: true }),
    e: blankPeer({ DNSName: 'se-1.mullvad.ts.net.', ExitNodeOption: true, Location: { Country: 'Sweden' } }),
    f: blankPeer({ DNSName: 'xn--bcher-kva.example.ts.net.' }),
  }
  const { text, hiddenExitNodes } = statusTable(runningStatus({ Peer: peers }), { ...ALL, self: false })
  expect(text.split('\n').map((line) => line.split(/ {2,}/).slice(1, 3))).toEqual([
    ['("my-mac")', '-'],
    ['a.other.net', 'tagged-devices'],
    ['b', '9'],
    ['xn--bcher-kva (bücher)', 'ann@'],
    [],
  ])
  expect(hiddenExitNodes).toBe(true)
})

test('last seen grows from minutes to days', () => {
  const at = (ms: number) => lastSeen({ LastSeen: new Date(NOW - ms).toISOString() }, NOW)
  expect([at(0), at(59 * 60_000), at(60 * 60_000), at(23.9 * 3600_000), at(50 * 3600_000)]).toEqual([
    ', last seen 1m ago',
    ', last seen 59m ago',
    ', last seen 1h ago',
    ', last seen 23h ago',
    ', last seen 2d ago',
  ])
  expect(lastSeen({ LastSeen: '0001-01-01T00:00:00Z' }, NOW)).toBe('')
  expect(lastSeen({ LastSeen: 'garbage' }, NOW)).toBe('')
})

test('what it says when the network is not up', () => {
  const of = (more: Parameters<typeof blankStatus>[0]) => notRunningText(blankStatus(more))
  expect(of({ BackendState: 'Running' })).toBeUndefined()
  expect(of({ BackendState: 'Starting' })).toBeUndefined()
  expect(of({ BackendState: 'Stopped' })).toBe('Pintail is stopped.')
  expect(of({})).toBe('Logged out.')
  expect(of({ AuthURL: 'https://x/a' })).toBe('Logged out.\nLog in at: https://x/a')
  expect(of({ BackendState: 'NeedsMachineAuth' })).toBe('Machine is not yet approved by tailnet admin.')
  expect(of({ BackendState: 'NoState' })).toBe('unexpected state: NoState')
  expect(healthBlock(blankStatus({ Health: ['a', 'b'] }))).toBe('# Health check:\n#     - a\n#     - b\n')
})

test('the funnel footer', () => {
  expect(funnelFooter(null)).toBe('')
  expect(funnelFooter({ AllowFunnel: { 'a:443': false } })).toBe('')
  expect(
    funnelFooter({
      AllowFunnel: { 'a.net:443': true, 'a.net:8443': true, 'a.net:10000': true },
      TCP: { '10000': { TCPForward: 'localhost:1' } },
      Foreground: { s: { AllowFunnel: { 'b.net:443': true } } },
    }),
  ).toBe(
    '\n# Funnel on:\n#     - https://a.net\n#     - https://a.net:8443\n#     - https://b.net\n#     - tcp://a.net:10000\n\n',
  )
})
