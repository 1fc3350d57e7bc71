/** The resolver among hostile programs and hostile servers: every question ends once, and nothing grows without end. */
import { expect, test, vi } from 'vitest'
import type { IpPort } from '../../../src-contract/ids.ts'
import { decodeDns, dnsType, encodeDnsQuery, encodeDnsReply, LARGEST_UDP_BYTES } from '../../wire/dns.ts'
import { addressRecord } from '../../wire/dns-record.ts'
import { fuzz, mutate, Random } from '../../wire/fuzz-kit.lab.ts'
import { emptyPlan } from './plan.ts'
import { Resolver, type ResolverEffect } from './resolver.ts'
import type { Upstream } from './upstream.ts'

/** Of work, not of waiting: a busy machine gets more. */
vi.setConfig({ testTimeout: 120_000 })

const servers: Upstream[] = ['192.0.2.1:53', '192.0.2.2:53'].map((address) => ({
  kind: 'plain',
  address: address as IpPort,
}))
const plan = {
  ...emptyPlan,
  isAccepted: true,
  hosts: new Map([['nas.tail.example', ['100.64.0.2'] as never]]),
  localDomains: new Set(['tail.example']),
  routes: new Map([['corp.example', servers]]),
  defaults: servers,
}
const QUESTIONS = ['nas.tail.example', 'www.example.com', 'wiki.corp.example', 'use-application-dns.net', ''].map(
  (name) => encodeDnsQuery(7, name, dnsType.A)!,
)

test('[DNS-8] mutated questions and replies: one answer each, within six seconds, readable, and short enough', () => {
  fuzz(
    120,
    (random) => random.below(2 ** 31),
    (seed) => {
      const random = new Random(seed)
      const resolver = new Resolver({ random16: () => random.below(65_536) })
      resolver.setPlan(plan, [])
      const open = new Map<number, number>()
      const attempts = new Map<number, Uint8Array>()
      let now = 0
      const perform = (effects: readonly ResolverEffect[]): void => {
        for (const effect of effects) {
          if (effect.kind === 'send') attempts.set(effect.attempt, effect.bytes)
          else if (effect.kind === 'cancel') attempts.delete(effect.attempt)
          else {
            if (!open.delete(effect.token)) throw new Error('answered twice')
            const read = decodeDns(effect.bytes)
            if (!read.ok || effect.bytes.length > LARGEST_UDP_BYTES) throw new Error('an answer nobody can read')
          }
        }
      }
      for (let token = 1; token <= 40; token++) {
        now += random.below(400)
        perform(resolver.wake(now))
        const bytes = random.below(3) === 0 ? random.pick(QUESTIONS) : mutate(random, QUESTIONS)
        const ready = resolver.readyAnswer(bytes, 'udp')
        if (ready !== undefined && !decodeDns(ready).ok) throw new Error('a ready answer nobody can read')
        open.set(token, now)
        const effects = resolver.handleQuery(bytes, { token, transport: 'udp', isForOther: random.below(5) === 0 }, now)
        const [first] = effects
        if (first === undefined && (bytes.length < 12 || (bytes[2]! & 0x80) !== 0)) open.delete(token)
        perform(effects)
        for (const [attempt, sent] of [...attempts]) {
          if (random.below(3) === 0) perform(resolver.handleReply(attempt, hostile(random, sent), now))
          else if (random.below(6) === 0) perform(resolver.handleFailure(attempt, now))
        }
        if (random.below(20) === 0) perform(resolver.networkChanged())
      }
      for (let turns = 0; open.size > 0; turns++) {
        const next = resolver.nextWake()
        if (next === undefined || turns > 5_000) throw new Error(`${open.size} questions never end`)
        now = Math.max(now, next)
        perform(resolver.wake(now))
      }
      perform(resolver.wake(now + 10_000))
      expect(resolver.nextWake()).toBe(undefined)
    },
  )
})

/** What a server may send back: the truth, more or less. */
function hostile(random: Random, sent: Uint8Array): Uint8Array {
  const query = decodeDns(sent)
  if (!query.ok || query.value.question === undefined) throw new Error('we send what nobody reads')
  const asked = { ...query.value, question: query.value.question }
  const answers = Array.from({ length: random.below(100) }, () => ({
    ...addressRecord('10.9.9.9')!,
    ttlSeconds: random.below(2 ** 31),
  }))
  const reply = encodeDnsReply(asked, { rcode: random.below(6), answers }, 65_535)
  return random.below(2) === 0 ? reply : mutate(random, [reply])
}
