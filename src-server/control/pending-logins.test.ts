import { expect, test } from 'vitest'
import { nodeCrypto } from '../../src-protocol/crypto/node-crypto.ts'
import { machineKeyText, nodeKeyText } from '../../src-protocol/wire/keys.ts'
import { networkOf } from './networks.ts'
import { PendingLogins } from './pending-logins.ts'

const wish = (network: string, machineKey = machineKeyText(nodeCrypto.randomBytes(32))) => ({
  machineKey,
  nodeKey: nodeKeyText(nodeCrypto.randomBytes(32)),
  hostinfo: {},
  capVersion: 131,
  network,
})

test('[SRV-4.10] a flood from one network does not throw out the logins of others', () => {
  const pending = new PendingLogins(() => 0)
  const mine = pending.ask(wish(networkOf('192.0.2.1')))
  const theirs = pending.ask(wish(networkOf('2001:db8:1::5')))
  for (let n = 0; n < 3_000; n++) pending.ask(wish(networkOf(`2001:db8:2:0:${n.toString(16)}::1`)))
  expect(pending.get(mine.id)).toBe(mine)
  expect(pending.get(theirs.id)).toBe(theirs)
})

test('[SRV-4.10] one machine has few logins at a time; whoever waits for a forgotten one is told', async () => {
  const pending = new PendingLogins(() => 0)
  const other = pending.ask(wish('a'))
  const { machineKey } = wish('a')
  const first = pending.ask(wish('a', machineKey))
  const told = pending.wait(first.id, new AbortController().signal)
  for (let n = 0; n < 10; n++) pending.ask(wish('a', machineKey))
  await told
  expect(pending.get(first.id)).toBeUndefined()
  expect(pending.get(other.id)).toBe(other)
})

test.each([
  ['203.0.113.7', 'cb007107'],
  ['::ffff:203.0.113.7', 'cb007107'],
  ['2001:db8::1', '20010db800000000'],
  ['fe80::1%eth0', 'fe80000000000000'],
  [undefined, ''],
])('the network of %s', (address, network) => expect(networkOf(address)).toBe(network))
