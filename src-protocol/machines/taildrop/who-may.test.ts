import { expect, test } from 'vitest'
import type { Node } from '../../../src-contract/control/map.ts'
import { taildropTarget as reason } from '../../../src-contract/localapi/status.ts'
import { isWorthTrying, maySendToUs, whyNotTarget } from './who-may.ts'

const cap = (name: string) => ({ [`https://tailscale.com/cap/${name}`]: null })
const node = (change: Partial<Node> = {}): Node =>
  ({ ID: 1, User: 1, Online: true, CapMap: cap('file-sharing'), Hostinfo: { OS: 'linux' }, ...change }) as Node

type Facts = Parameters<typeof whyNotTarget>[0]
const facts = (change: Partial<Facts>): Facts => ({
  isRunning: true,
  self: node(),
  peer: node({ ID: 2 }),
  hasPeerApi: true,
  grantedToPeer: null,
  ...change,
})

test.each<[string, Partial<Facts>, number]>([
  ['of the same person', {}, reason.available],
  ['not running', { isRunning: false, self: undefined }, reason.notRunning],
  ['no network yet', { self: undefined }, reason.noNetmap],
  ['the network has it switched off', { self: node({ CapMap: {} }) }, reason.missingCap],
  ['another person', { peer: node({ User: 2, Online: false }) }, reason.ownedByOtherUser],
  [
    'another person who lets us',
    { peer: node({ User: 2 }), grantedToPeer: cap('file-sharing-target') },
    reason.available,
  ],
  [
    'another person who may only send',
    { peer: node({ User: 2 }), grantedToPeer: cap('file-send') },
    reason.ownedByOtherUser,
  ],
  ['tagged', { peer: node({ Tags: ['tag:server'] }) }, reason.ownedByOtherUser],
  ['both tagged alike', { self: node({ Tags: ['tag:a'] }), peer: node({ Tags: ['tag:a'] }) }, reason.ownedByOtherUser],
  ['a television', { peer: node({ Hostinfo: { OS: 'tvOS' } }) }, reason.unsupportedOs],
  ['too old, or without an interface', { hasPeerApi: false }, reason.noPeerApi],
  ['offline', { peer: node({ Online: false }) }, reason.offline],
  ['nobody knows whether online', { peer: (({ Online: _, ...rest }) => rest)(node()) as Node }, reason.available],
])('[TD-2] a target that is %s', (_what, change, expected) => {
  expect(whyNotTarget(facts(change))).toBe(expected)
})

test('[TD-2] offline ones are tried', () => {
  expect(
    [reason.available, reason.offline, reason.ownedByOtherUser, reason.noPeerApi].map((r) => isWorthTrying(r, true)),
  ).toEqual([true, true, false, false])
  expect(isWorthTrying(reason.offline, false)).toBe(false)
})

test.each<[string, Node, Node, boolean, boolean]>([
  ['the same person', node(), node(), false, true],
  ['another person', node(), node({ User: 2 }), false, false],
  ['another person with a grant', node(), node({ User: 2 }), true, true],
  ['a tagged machine', node(), node({ Tags: ['tag:a'] }), false, false],
  ['a tagged machine with a grant', node(), node({ Tags: ['tag:a'] }), true, true],
  ['to a tagged machine', node({ Tags: ['tag:a'] }), node(), false, false],
  ['unsigned', node(), node({ UnsignedPeerAPIOnly: true }), true, false],
  ['switched off', node({ CapMap: {} }), node(), true, false],
])('[TD-2] who may send: %s', (_who, self, peer, isGranted, may) => {
  expect(maySendToUs(self, peer, isGranted ? cap('file-send') : null)).toBe(may)
})
