import { describe, expect, test } from 'vitest'
import type { DerpMap, DerpRegion } from '../../../src-contract/control/map.ts'
import type { IpPort } from '../../../src-contract/ids.ts'
import { nodeCrypto as crypto } from '../../crypto/node-crypto.ts'
import { fromHex } from '../../wire/bytes.ts'
import { encodeStunResponse } from '../../wire/stun.ts'
import { chooseHome } from './home.ts'
import { NetcheckRound, STUN_LIMIT_MS, type StunProbe } from './netcheck.ts'
import { type LastRound, planProbes, relayRegions } from './plan.ts'

const region = (id: number, change: Partial<DerpRegion> = {}, nodes = 1): DerpRegion => ({
  RegionID: id,
  RegionCode: `r${id}`,
  RegionName: `Region ${id}`,
  Nodes: Array.from({ length: nodes }, (_, n) => ({
    Name: `${id}${'abc'[n]}`,
    RegionID: id,
    HostName: `derp${id}.example`,
    IPv4: `192.0.2.${10 * id + n}`,
    IPv6: `2001:db8::${id}:${n + 1}`,
  })),
  ...change,
})
const mapOf = (...regions: DerpRegion[]): DerpMap => ({
  Regions: Object.fromEntries(regions.map((r) => [String(r.RegionID), r])),
})
const shape = (map: DerpMap, last?: LastRound, home = 0, v6 = true) =>
  planProbes({ derpMap: map, hasV4: true, hasV6: v6, home, last }).map(
    ({ region: id, family, probes }) =>
      `${id}v${family}: ${probes.map(({ node, delayMs }) => `${node.Name}@${Math.round(delayMs)}`).join(' ')}`,
  )

describe('[NC-2.3] the plan', () => {
  test('full: every region, three tries round its nodes, both families', () => {
    expect(shape(mapOf(region(1), region(2, {}, 2)))).toEqual([
      '1v4: 1a@0 1a@100 1a@200',
      '1v6: 1a@0 1a@100 1a@200',
      '2v4: 2a@0 2b@100 2a@200',
      '2v6: 2a@0 2b@100 2a@200',
    ])
  })
  test('a host without IPv6, a node without a family, a region not to be measured', () => {
    const noV6 = region(2)
    noV6.Nodes![0]!.IPv6 = 'none'
    const noStun = region(3)
    noStun.Nodes![0]!.STUNPort = -1
    expect(shape(mapOf(region(1), noV6, noStun, region(4, { NoMeasureNoHome: true })), undefined, 0, false)).toEqual([
      '1v4: 1a@0 1a@100 1a@200',
      '2v4: 2a@0 2a@100 2a@200',
    ])
    expect(shape(mapOf(noV6))).toEqual(['2v4: 2a@0 2a@100 2a@200'])
  })
  test('a test node is asked even without a usable interface', () => {
    const local = region(1)
    local.Nodes![0]!.IPv4 = '127.0.0.1'
    const plan = planProbes({ derpMap: mapOf(local, region(2)), hasV4: false, hasV6: false, home: 0, last: undefined })
    expect(plan.map(({ region: id, family }) => `${id}v${family}`)).toEqual(['1v4'])
    const last = { latencyMs: new Map([[1, 5]]), hadV4: true, hadV6: false }
    const next = planProbes({ derpMap: mapOf(local, region(2)), hasV4: false, hasV6: false, home: 1, last })
    expect(next.map(({ region: id, family }) => `${id}v${family}`)).toEqual(['1v4'])
  })
  test('without UDP: whatever has a relay that could be home, with STUN or without', () => {
    const withNodes = (id: number, node: object) => {
      const made = region(id)
      Object.assign(made.Nodes![0]!, node)
      return made
    }
    const map = mapOf(
      withNodes(1, { STUNPort: -1 }),
      withNodes(2, { STUNOnly: true }),
      region(3, { Avoid: true }),
      region(4, { NoMeasureNoHome: true }),
      region(5, { Nodes: null }),
      region(6),
    )
    expect(relayRegions(map).map(({ RegionID }) => RegionID)).toEqual([1, 6])
  })
  test('incremental: the three nearest and home, by last latency', () => {
    const last: LastRound = {
      latencyMs: new Map([
        [1, 100],
        [2, 10],
        [3, 50],
        [5, 70],
      ]),
      hadV4: true,
      hadV6: false,
    }
    expect(shape(mapOf(region(1), region(2), region(3), region(4), region(5)), last, 4, false)).toEqual([
      '2v4: 2a@0 2a@12',
      '3v4: 3a@0 3a@60',
      '5v4: 5a@0',
      '4v4: 4a@0 4a@200 4a@500 4a@750',
    ])
  })
})

/** Answers probes after a delay, as servers do. */
function drive(
  round: NetcheckRound,
  answer: (probe: StunProbe) => { afterMs: number; mapped: string } | undefined,
): number {
  const arriving: { at: number; bytes: Uint8Array }[] = []
  let now = 0
  for (let step = 0; step < 10_000 && !round.isFinished; step++) {
    for (const probe of round.wake(now)) {
      round.handleSent(probe.transaction, now)
      const reply = answer(probe)
      if (reply !== undefined)
        arriving.push({
          at: now + reply.afterMs,
          bytes: encodeStunResponse(fromHex(probe.transaction), reply.mapped as IpPort),
        })
    }
    arriving.sort((a, b) => a.at - b.at)
    const next = Math.min(round.nextWake() ?? Number.POSITIVE_INFINITY, arriving[0]?.at ?? Number.POSITIVE_INFINITY)
    if (next === Number.POSITIVE_INFINITY) break
    now = Math.max(now, next)
    while (arriving[0] !== undefined && arriving[0].at <= now) round.handleStun(arriving.shift()!.bytes, now)
  }
  return now
}
const full = (map: DerpMap, v6 = false) =>
  new NetcheckRound(
    { crypto, isFull: true, plan: planProbes({ derpMap: map, hasV4: true, hasV6: v6, home: 0, last: undefined }) },
    0,
  )

describe('[NC-2.4] a round', () => {
  test('ends with the last answer, not with the limit', () => {
    const round = full(mapOf(region(1), region(2)))
    const took = drive(round, ({ node }) => ({ afterMs: node.RegionID * 20, mapped: '203.0.113.5:41641' }))
    expect(took).toBe(40)
    expect(round.findings).toMatchObject({ hasUdp: true, globalV4: '203.0.113.5:41641', mappingVaries: false })
    expect([...round.findings.latencyMs]).toEqual([
      [1, 20],
      [2, 40],
    ])
    expect(round.findings.v4Counters.get('203.0.113.5:41641' as IpPort)).toBe(2)
  })
  test('two servers that see different ports: the mapping varies', () => {
    const round = full(mapOf(region(1), region(2)))
    drive(round, ({ node }) => ({ afterMs: 10 * node.RegionID, mapped: `203.0.113.5:${5000 + node.RegionID}` }))
    expect(round.findings).toMatchObject({ globalV4: '203.0.113.5:5001', mappingVaries: true })
  })
  test('one server alone cannot tell', () => {
    const round = full(mapOf(region(1)))
    drive(round, () => ({ afterMs: 10, mapped: '203.0.113.5:1' }))
    expect(round.findings.mappingVaries).toBeUndefined()
  })
  test('after three regions the others get twice the slowest’s time', () => {
    const round = full(mapOf(region(1), region(2), region(3), region(4)))
    const took = drive(round, ({ node }) =>
      node.RegionID === 4 ? undefined : { afterMs: 30 * node.RegionID, mapped: '203.0.113.5:1' },
    )
    expect(took).toBe(90 + 180)
    expect(round.findings.latencyMs.has(4)).toBe(false)
  })
  test('on a fast network the others get a tenth of a second', () => {
    const round = full(mapOf(region(1), region(2), region(3), region(4)))
    const took = drive(round, ({ node }) => (node.RegionID === 4 ? undefined : { afterMs: 1, mapped: '203.0.113.5:1' }))
    expect(took).toBe(1 + 100)
  })
  test('one relay, and a family that is silent: 0.4 s more, enough for a slow one', () => {
    const answering = (v6Ms: number | undefined) => {
      const round = full(mapOf(region(1)), true)
      const took = drive(round, ({ family }) => {
        if (family === 4) return { afterMs: 1, mapped: '203.0.113.5:1' }
        return v6Ms === undefined ? undefined : { afterMs: v6Ms, mapped: '[2001:db8::1]:1' }
      })
      return [took, round.findings.globalV6]
    }
    expect(answering(undefined)).toEqual([1 + 400, undefined])
    expect(answering(300)).toEqual([300, '[2001:db8::1]:1'])
  })
  test('one relay of two is dead: a second after its last try', () => {
    const round = full(mapOf(region(1), region(2)))
    const took = drive(round, ({ node }) => (node.RegionID === 2 ? undefined : { afterMs: 1, mapped: '203.0.113.5:1' }))
    expect(took).toBe(200 + 1000)
  })
  test('a family without addresses is not waited for; a node without one leaves the others their turn', () => {
    const round = full(mapOf(region(1)), true)
    const probes = round.wake(0)
    for (const { family, transaction } of probes)
      if (family === 4) round.handleSent(transaction, 0)
      else round.handleNoAddress(transaction, 0)
    const v4 = probes.find(({ family }) => family === 4)!
    round.handleStun(encodeStunResponse(fromHex(v4.transaction), '203.0.113.5:1' as IpPort), 5)
    expect([round.isFinished, round.findings.v6CanSend]).toEqual([true, false])

    const two = full(mapOf(region(1, {}, 2)))
    two.handleNoAddress(two.wake(0)[0]!.transaction, 0)
    expect([two.isFinished, two.wake(100).map(({ node }) => node.Name)]).toEqual([false, ['1b']])
  })
  test('the family is that of the address we are seen with', () => {
    const round = full(mapOf(region(1)), true)
    drive(round, ({ family }) => ({ afterMs: family, mapped: '203.0.113.5:1' })) // NAT64 on the way of the second
    expect(round.findings).toMatchObject({ globalV4: '203.0.113.5:1', globalV6: undefined })
    expect(round.findings.v4Counters.get('203.0.113.5:1' as IpPort)).toBe(2)
  })
  test('no UDP at all: three seconds, nothing found', () => {
    const round = full(mapOf(region(1)), true)
    expect(drive(round, () => undefined)).toBe(STUN_LIMIT_MS)
    expect(round.findings).toMatchObject({ hasUdp: false, v4CanSend: true, v6CanSend: true })
  })
  test('a lost first try is made good by the second', () => {
    const round = full(mapOf(region(1)))
    let tries = 0
    const took = drive(round, () => (++tries === 1 ? undefined : { afterMs: 15, mapped: '203.0.113.5:1' }))
    expect([tries, took]).toEqual([2, 115])
  })
  test('answers that nobody asked for, late ones and noise change nothing', () => {
    const round = full(mapOf(region(1)))
    const [probe] = round.wake(0)
    round.handleStun(encodeStunResponse(new Uint8Array(12), '203.0.113.5:1' as IpPort), 1)
    const early = encodeStunResponse(fromHex(probe!.transaction), '203.0.113.5:1' as IpPort)
    round.handleStun(early, 1) // before it was sent
    for (let length = 0; length < early.length; length++) round.handleStun(early.subarray(0, length), 1)
    expect(round.findings.hasUdp).toBe(false)
  })
})

describe('[NC-2.4] hostile answers', () => {
  test.each(['0.0.0.0:5', '203.0.113.5:0', '224.0.0.1:5', '255.255.255.255:5', '[::]:5', '[ff02::1]:5'])(
    'nobody is reached at %s',
    (mapped) => {
      const round = full(mapOf(region(1)), true)
      drive(round, () => ({ afterMs: 1, mapped }))
      expect(round.findings).toMatchObject({ hasUdp: false, globalV4: undefined, globalV6: undefined })
      expect(round.findings.v4Counters.size + round.findings.v6Counters.size).toBe(0)
    },
  )
  test('an answer counts once, and none after the end', () => {
    const round = full(mapOf(region(1), region(2)))
    const [first, second] = round.wake(0)
    for (const probe of [first!, second!]) round.handleSent(probe.transaction, 0)
    const answer = encodeStunResponse(fromHex(first!.transaction), '203.0.113.5:1' as IpPort)
    for (let time = 1; time < 50; time++) round.handleStun(answer, time)
    expect(round.findings.v4Counters.get('203.0.113.5:1' as IpPort)).toBe(1)
    expect(round.findings.latencyMs.get(1)).toBe(1)
    round.wake(STUN_LIMIT_MS)
    expect(round.isFinished).toBe(true)
    round.handleStun(encodeStunResponse(fromHex(second!.transaction), '198.51.100.1:1' as IpPort), STUN_LIMIT_MS)
    expect(round.findings).toMatchObject({ globalV4: '203.0.113.5:1', mappingVaries: undefined })
  })
  test('100 000 altered answers: no exception, no finding without the transaction', () => {
    const round = full(mapOf(region(1)))
    const [probe] = round.wake(0)
    round.handleSent(probe!.transaction, 0)
    const honest = encodeStunResponse(fromHex(probe!.transaction), '203.0.113.5:1' as IpPort)
    let seed = 12345
    const next = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      return (seed >> 8) % below
    }
    for (let n = 0; n < 100_000; n++) {
      const bytes = honest.slice(0, next(4) === 0 ? next(honest.length + 1) : honest.length)
      // The transaction is always among what changes.
      if (bytes.length >= 20) bytes[8 + next(12)]! ^= 1 + next(255)
      for (let flips = next(4); flips > 0 && bytes.length > 20; flips--) bytes[20 + next(bytes.length - 20)] = next(256)
      round.handleStun(bytes, 1)
    }
    expect(round.findings.hasUdp).toBe(false)
  })
})

describe('[NC-2.8] the home region', () => {
  const map = mapOf(region(1), region(2))
  const choose = (
    previous: number,
    now: [number, number][],
    change: { heard?: number; earlier?: [number, number][]; map?: DerpMap } = {},
  ) => {
    const current = { atMs: 100_000, latencyMs: new Map(now) }
    const earlier = change.earlier === undefined ? [] : [{ atMs: 50_000, latencyMs: new Map(change.earlier) }]
    return chooseHome({
      derpMap: change.map ?? map,
      previous,
      current,
      rounds: [...earlier, current],
      heardPreviousMs: change.heard,
    })
  }
  test.each<[string, number, [number, number][], Parameters<typeof choose>[2], number]>([
    [
      'the nearest at first',
      0,
      [
        [1, 30],
        [2, 20],
      ],
      {},
      2,
    ],
    [
      'stays for a gain under 10 ms',
      1,
      [
        [1, 28],
        [2, 20],
      ],
      {},
      1,
    ],
    [
      'stays when the other is not under two thirds',
      1,
      [
        [1, 100],
        [2, 70],
      ],
      {},
      1,
    ],
    [
      'moves for a real gain',
      1,
      [
        [1, 100],
        [2, 40],
      ],
      {},
      2,
    ],
    ['moves when the old one does not answer', 1, [[2, 90]], {}, 2],
    ['stays when the old one’s relay is heard', 1, [[2, 90]], { heard: 95_000 }, 1],
    [
      'counts the best of the last minutes',
      1,
      [
        [1, 100],
        [2, 95],
      ],
      { earlier: [[2, 20]] },
      2,
    ],
    ['keeps the old one when nothing answers but its relay lives', 1, [], { heard: 50_000 }, 1],
    ['has none when nothing answers', 1, [], {}, 0],
    [
      'avoids what the map says to avoid',
      0,
      [
        [1, 30],
        [2, 20],
      ],
      { map: mapOf(region(1), region(2, { Avoid: true })) },
      1,
    ],
    [
      'leaves a home only for a real gain, even an avoided one',
      2,
      [
        [1, 30],
        [2, 28],
      ],
      { map: mapOf(region(1), region(2, { Avoid: true })) },
      2,
    ],
    ['takes an avoided one before none', 0, [[2, 20]], { map: mapOf(region(2, { Avoid: true })) }, 2],
    ['leaves a region that is not in the map any more', 3, [[1, 50]], { heard: 99_999 }, 1],
  ])('%s', (_, previous, now, change, want) => expect(choose(previous, now, change)).toBe(want))
  test('the operator’s score counts', () => {
    const scored = { ...map, HomeParams: { RegionScore: { '2': 0.5 } } }
    expect(
      choose(
        0,
        [
          [1, 30],
          [2, 40],
        ],
        { map: scored },
      ),
    ).toBe(2)
  })
})
