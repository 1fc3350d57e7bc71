import { expect, test } from 'vitest'
import { udpGroAdvice } from './forwarding.ts'

const features = (forwarding: string, list: string): string =>
  `Features for eth0:\nrx-checksumming: on\nrx-gro-list: ${list}\nrx-udp-gro-forwarding: ${forwarding}\n`

test('[RT-15] receive offload: only what is wrong, and what can be changed', () => {
  expect(udpGroAdvice('eth0', features('on', 'off'))).toBeUndefined()
  expect(udpGroAdvice('eth0', features('off', 'off'))?.fix).toEqual(['ethtool -K eth0 rx-udp-gro-forwarding on'])
  expect(udpGroAdvice('eth0', features('off', 'on'))?.fix).toEqual([
    'ethtool -K eth0 rx-udp-gro-forwarding on rx-gro-list off',
  ])
  expect(udpGroAdvice('eth0', features('off [fixed]', 'off [fixed]'))).toBeUndefined()
  expect(udpGroAdvice('eth0', '')).toBeUndefined()
})
