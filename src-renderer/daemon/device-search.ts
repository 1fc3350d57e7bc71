/** Which devices a search and a chip leave, and in which order. Pure; must stay quick at ten thousand devices. */
import type { Device } from '../../src-contract/app/app-state.ts'

export const deviceChips = ['all', 'online', 'mine', 'exitNodes'] as const
export type DeviceChip = (typeof deviceChips)[number]

type Test = (device: Device) => boolean

const operators: Record<string, (value: string) => Test> = {
  tag: (value) => (device) => device.tags.some((tag) => tag.toLowerCase().replace(/^tag:/, '').includes(value)),
  owner: (value) => (device) => device.owner.toLowerCase().includes(value),
  os: (value) => (device) => device.os.toLowerCase().includes(value),
  is: (value) => (device) => (value === 'online' ? device.online : device.path.kind.startsWith(value)),
  path: (value) => (device) => device.path.kind.startsWith(value === 'derp' ? 'relay' : value),
  has: (value) => (device) =>
    value.startsWith('route') ? device.routes.length > 0 : value.startsWith('exit') && device.offersExitNode,
}

function wordTest(word: string): Test {
  const [name = '', ...rest] = word.split(':')
  const value = rest.join(':')
  const operator = Object.hasOwn(operators, name) ? operators[name] : undefined
  if (operator !== undefined && value !== '') return operator(value)
  return (device) =>
    device.name.toLowerCase().includes(word) ||
    device.dnsName.toLowerCase().includes(word) ||
    device.addresses.some((address) => address.includes(word)) ||
    device.owner.toLowerCase().includes(word) ||
    device.tags.some((tag) => tag.toLowerCase().includes(word)) ||
    device.os.toLowerCase().includes(word)
}

const chipTests: Record<DeviceChip, Test> = {
  all: () => true,
  online: (device) => device.online,
  mine: (device) => device.isMine,
  exitNodes: (device) => device.offersExitNode,
}

export function searchDevices(devices: Iterable<Device>, query: string, chip: DeviceChip): Device[] {
  const tests = query.toLowerCase().split(/\s+/).filter(Boolean).map(wordTest)
  return [...devices].filter((device) => chipTests[chip](device) && tests.every((test) => test(device)))
}

/** Who is there first, then by name as people count: `node2` before `node10`. */
export function sortDevices(devices: Device[], collator: Intl.Collator): Device[] {
  return devices.sort(
    (a, b) => Number(b.online) - Number(a.online) || collator.compare(a.name, b.name) || (a.id < b.id ? -1 : 1),
  )
}
