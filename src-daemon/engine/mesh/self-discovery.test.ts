import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { DerpMap, DerpRegion } from '../../../src-contract/control/map.ts'
import type { IpPort } from '../../../src-contract/ids.ts'
import type { NetcheckReport } from '../../../src-contract/localapi/netcheck.ts'
import { silentLog } from '../../io/log/log.ts'
import { SelfDiscovery } from './self-discovery.ts'

const region = (id: number, change: Partial<DerpRegion> = {}): DerpRegion => ({
  RegionID: id,
  RegionCode: `r${id}`,
  RegionName: '',
  Nodes: [],
  ...change,
})
const mapOf = (...regions: DerpRegion[]): DerpMap => ({
  Regions: Object.fromEntries(regions.map((r) => [r.RegionID, r])),
})
const report = (change: Partial<NetcheckReport>): NetcheckReport =>
  ({
    UDP: true,
    PreferredDERP: 2,
    RegionV4Latency: { 2: 5e6 },
    RegionV6Latency: {},
    GlobalV4: '',
    GlobalV6: '',
    ...change,
  }) as NetcheckReport

function setUp() {
  const runs: { full: boolean | undefined; settle: (value: Partial<NetcheckReport>) => void; fail: () => void }[] = []
  const fresh: boolean[] = []
  const discovery = new SelfDiscovery({
    netcheck: {
      run: (_map, _signal, wanted) =>
        new Promise((resolve, reject) =>
          runs.push({
            full: wanted?.full,
            settle: (change) => resolve(report(change)),
            fail: () => reject(new Error('no')),
          }),
        ),
      handleStun() {},
    },
    network: () => ({
      interfaces: [{ name: 'e', addresses: [{ address: '10.0.0.2', bits: 24, loopback: false }] }],
      defaultV4: 'e',
      defaultV6: '',
    }),
    udpPorts: () => ({ v4: 1000, v6: undefined }),
    fixedPort: 1000,
    now: () => performance.now(),
    random01: () => 0.5,
    log: silentLog,
    onFresh: (isNew) => fresh.push(isNew),
  })
  return { discovery, runs, fresh }
}

const quiet = () => vi.advanceTimersByTimeAsync(0)
beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

describe('own endpoints and home relay', () => {
  test('with one region the home is known before anything was measured', () => {
    const { discovery, fresh } = setUp()
    discovery.setDerpMap(mapOf(region(1, { NoMeasureNoHome: true }), region(7)))
    expect([discovery.home, fresh, discovery.netInfo]).toEqual([7, [true], { PreferredDERP: 7 }])
  })

  test('a report becomes endpoints, home and network facts; the same again is no news', async () => {
    const { discovery, runs, fresh } = setUp()
    discovery.setDerpMap(mapOf(region(1), region(2)))
    expect(discovery.home).toBe(0)
    runs[0]?.settle({ GlobalV4: '203.0.113.1:77' as IpPort })
    await quiet()
    expect(discovery.addresses).toEqual(['203.0.113.1:77', '10.0.0.2:1000'])
    expect(discovery.netInfo).toMatchObject({ PreferredDERP: 2, DERPLatency: { '2-v4': 0.005 } })
    discovery.trigger('again')
    runs[1]?.settle({ GlobalV4: '203.0.113.1:77' as IpPort, RegionV4Latency: { 2: 9e6 } })
    await quiet()
    expect(fresh).toEqual([true, false])
  })

  test('one run at a time; many wishes meanwhile are one more run', async () => {
    const { discovery, runs } = setUp()
    discovery.setDerpMap(mapOf(region(1), region(2)))
    for (let i = 0; i < 5; i++) discovery.trigger('wish')
    expect(runs).toHaveLength(1)
    runs[0]?.settle({})
    await quiet()
    expect(runs).toHaveLength(2)
    runs[1]?.settle({})
    await quiet()
    expect(runs).toHaveLength(2)
  })

  test('a failed run keeps the home and still answers those who wait', async () => {
    const { discovery, runs, fresh } = setUp()
    discovery.setDerpMap(mapOf(region(1), region(2)))
    runs[0]?.settle({})
    await quiet()
    discovery.trigger('again')
    runs[1]?.fail()
    await quiet()
    expect([discovery.home, fresh.length]).toEqual([2, 2])
  })

  test('nothing could be measured: any region that may be home is better than none, until one is found', async () => {
    const { discovery, runs } = setUp()
    discovery.setDerpMap(mapOf(region(1, { Avoid: true }), region(2, { NoMeasureNoHome: true }), region(3), region(4)))
    runs[0]?.settle({ PreferredDERP: 0, UDP: false })
    await quiet()
    expect(discovery.home).toBe(4)
    discovery.trigger('again')
    runs[1]?.settle({ PreferredDERP: 3 })
    await quiet()
    discovery.trigger('again')
    runs[2]?.settle({ PreferredDERP: 0 })
    await quiet()
    expect(discovery.home).toBe(3)
  })

  test('[F16] [NC-2.7] behind a captive portal it looks every five seconds, also while idle; coming and going is news', async () => {
    const { discovery, runs, fresh } = setUp()
    discovery.setDerpMap(mapOf(region(1), region(2)))
    runs[0]?.settle({ UDP: false, CaptivePortal: true })
    await quiet()
    expect(discovery.captivePortal).toBe(true)
    await vi.advanceTimersByTimeAsync(60_000) // longer than any activity counts
    expect(runs).toHaveLength(2)
    runs[1]?.settle({ UDP: false, CaptivePortal: true })
    await vi.advanceTimersByTimeAsync(5_000)
    runs[2]?.settle({ CaptivePortal: null })
    await quiet()
    expect([discovery.captivePortal, fresh]).toEqual([false, [true, false, true]])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(runs).toHaveLength(3) // nobody sends anything
  })

  test('another network: what is being measured is dropped, every region is asked anew', async () => {
    const { discovery, runs, fresh } = setUp()
    discovery.setDerpMap(mapOf(region(1), region(2)))
    const asked = discovery.check()
    await quiet()
    discovery.networkChanged()
    expect(runs.map(({ full }) => full)).toEqual([false, true])
    runs[0]?.settle({ GlobalV4: '203.0.113.1:77' as IpPort })
    await quiet()
    expect(fresh).toEqual([])
    runs[1]?.settle({ GlobalV4: '203.0.113.9:77' as IpPort })
    await quiet()
    expect(discovery.addresses[0]).toBe('203.0.113.9:77')
    runs[2]?.settle({}) // who asked gets a run that began after the question
    await quiet()
    expect(await asked).toBeDefined()
  })

  test('a person who asks sees every region', async () => {
    const { discovery, runs } = setUp()
    discovery.setDerpMap(mapOf(region(1), region(2)))
    runs[0]?.settle({})
    await quiet()
    const asked = discovery.check()
    await quiet()
    runs[1]?.settle({})
    expect(await asked).toMatchObject({ PreferredDERP: 2 })
    expect(runs.map(({ full }) => full)).toEqual([false, true])
  })

  test('again every 20 to 26 seconds while something is sent, and not when idle', async () => {
    const { discovery, runs } = setUp()
    discovery.setDerpMap(mapOf(region(1), region(2)))
    runs[0]?.settle({})
    await quiet()
    await vi.advanceTimersByTimeAsync(120_000)
    expect(runs).toHaveLength(1)
    discovery.noteActivity()
    await vi.advanceTimersByTimeAsync(23_001)
    expect(runs).toHaveLength(2)
    runs[1]?.settle({})
    await vi.advanceTimersByTimeAsync(23_001)
    expect(runs).toHaveLength(3)
    runs[2]?.settle({})
    await vi.advanceTimersByTimeAsync(120_000)
    expect(runs).toHaveLength(3)
  })

  test('stopped: everything is forgotten, and a late report changes nothing', async () => {
    const { discovery, runs, fresh } = setUp()
    discovery.setDerpMap(mapOf(region(1), region(2)))
    discovery.stop()
    runs[0]?.settle({})
    await quiet()
    expect([discovery.home, discovery.endpoints, discovery.netInfo, fresh]).toEqual([0, [], undefined, []])
  })
})
