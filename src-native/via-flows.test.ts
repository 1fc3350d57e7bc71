import { describe, expect, test } from 'vitest'
import { type ViaEnds, ViaFlows, type ViaTuple } from './via-flows.ts'

const ends = (site: number, peer = 1): ViaEnds => ({ peer, source: [1, 2, 3, 4], destination: [5, 6, site, 8] })
const tuple = (sourcePort: number, protocol = 6): ViaTuple => ({
  protocol,
  source: 0x64400002,
  destination: 0x0a000001,
  sourcePort,
  destinationPort: 80,
})
const [FIN, SYN, RST, ACK] = [1, 2, 4, 16]
const MINUTE = 60_000

describe('translated flows', () => {
  test('[PKT-5.5] an answer finds the ends of its flow, for this peer only', () => {
    const flows = new ViaFlows()
    expect(flows.remember(tuple(1), ends(7), SYN, 0)).toBe(true)
    expect(flows.answer(tuple(1), 1, SYN | ACK, 0)).toEqual(ends(7))
    expect(flows.answer(tuple(1), 2, ACK, 0)).toBeUndefined()
    expect(flows.answer(tuple(2), 1, ACK, 0)).toBeUndefined()
    expect(flows.answer(tuple(1, 17), 1, 0, 0)).toBeUndefined()
  })

  test('[PKT-5.5] 4096 flows, the least recently used goes first', () => {
    const flows = new ViaFlows()
    for (let port = 0; port < 4096; port++) flows.remember(tuple(port), ends(7), ACK, 0)
    flows.answer(tuple(0), 1, ACK, 0)
    flows.remember(tuple(1), ends(7), ACK, 0)
    flows.remember(tuple(5000), ends(7), ACK, 0)
    flows.remember(tuple(5001), ends(7), ACK, 0)
    expect(flows.size).toBe(4096)
    const gone = Array.from({ length: 10 }, (_, port) => port).filter((port) => !flows.answer(tuple(port), 1, ACK, 0))
    expect(gone).toEqual([2, 3])
  })

  test.each([
    ['TCP', 6, 0, 124 * MINUTE],
    ['TCP after FIN', 6, FIN, 4 * MINUTE],
    ['TCP after RST', 6, RST, 4 * MINUTE],
    ['UDP', 17, 0, 5 * MINUTE],
    ['echo', 1, 0, MINUTE],
  ])('[PKT-5.6] %s holds its five-tuple for so long', (_name, protocol, flags, ms) => {
    const flows = new ViaFlows()
    flows.remember(tuple(1, protocol), ends(7), flags, 1000)
    expect(flows.remember(tuple(1, protocol), ends(8), flags, 999 + ms)).toBe(false)
    expect(flows.giveUp(tuple(1, protocol), 999 + ms)).toBe(false)
    expect(flows.answer(tuple(1, protocol), 1, 0, 1000)).toEqual(ends(7))
    expect(flows.remember(tuple(1, protocol), ends(8), 0, 1000 + ms)).toBe(true)
    expect(flows.answer(tuple(1, protocol), 1, 0, 1000 + ms)).toEqual(ends(8))
  })

  test('[PKT-5.6] a new SYN of the same flow opens it again; given up, it translates nothing any more', () => {
    const flows = new ViaFlows()
    flows.remember(tuple(1), ends(7), FIN, 0)
    flows.remember(tuple(1), ends(7), SYN, 0)
    expect(flows.giveUp(tuple(1), 10 * MINUTE)).toBe(false)
    expect(flows.giveUp(tuple(1), 124 * MINUTE)).toBe(true)
    expect(flows.answer(tuple(1), 1, ACK, 124 * MINUTE)).toBeUndefined()
    expect(flows.giveUp(tuple(9), 0)).toBe(true)
  })
})
