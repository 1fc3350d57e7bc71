/** What the daemon says of routes, bypass and changes, read into what the window shows. Pure; hostile texts are cleaned. */
import * as z from 'zod/mini'
import type {
  BypassView,
  ChangeLine,
  ChangeView,
  Explained,
  NetworkEdit,
  RoutesView,
} from '../src-contract/app/network.ts'
import type { ChangePreview, ListDelta } from '../src-contract/localapi/changes.ts'
import type { RouteVerdict } from '../src-contract/localapi/route-explain.ts'
import { AppError } from './app-error.ts'
import { cleanText } from './link/names.ts'

const MAX_TEXT = 500

const text = z.pipe(
  z.string(),
  z.transform((value: string) => cleanText(value, MAX_TEXT)),
)
/** Go leaves nil lists null. */
const list = <T extends z.ZodMiniType>(item: T) =>
  z.pipe(
    z.nullish(z.array(item)),
    z.transform((value) => value ?? []),
  )

const reasons = ['', 'not-accepted', 'off', 'at-home', 'taken'] as const

const routesReply = z.object({
  Routes: list(
    z.object({
      Prefix: text,
      Via: text,
      ViaName: text,
      Online: z.boolean(),
      InUse: z.boolean(),
      Reason: z.catch(z.enum([...reasons, 'other']), 'other'),
    }),
  ),
  Off: list(text),
})

export function readRoutes(reply: unknown): RoutesView {
  const { Routes, Off } = parse(routesReply, reply)
  return {
    routes: Routes.map(({ Prefix, Via, ViaName, Online, InUse, Reason }) => ({
      prefix: Prefix,
      viaId: Via,
      viaName: ViaName,
      online: Online,
      inUse: InUse,
      reason: Reason,
    })),
    off: Off,
  }
}

const bypassReply = z.object({
  Setting: z.object({
    Prefixes: list(text),
    Suffixes: list(text),
    Interfaces: list(text),
    Users: list(text),
    Cgroups: list(text),
  }),
  InEffect: list(z.object({ Prefix: text, From: text })),
  Missing: list(text),
})
const suggestionsReply = list(z.object({ Interface: text, Prefixes: list(text) }))

export function readBypass(reply: unknown, suggestions: unknown): BypassView {
  const { Setting, InEffect, Missing } = parse(bypassReply, reply)
  return {
    setting: Setting as BypassView['setting'],
    inEffect: InEffect.map(({ Prefix, From }) => ({ prefix: Prefix, from: From })),
    missing: Missing,
    suggestions: parse(suggestionsReply, suggestions).map(({ Interface, Prefixes }) => ({
      interface: Interface,
      prefixes: Prefixes,
    })),
  }
}

const verdicts: readonly RouteVerdict[] = [
  'peer',
  'exit-node',
  'this-machine',
  'local',
  'other-vpn',
  'internet',
  'blocked',
  'unreachable',
]

const explainReply = z.object({
  Names: z.optional(
    z.object({ Name: text, Servers: list(text), Why: text, Addresses: list(text), Problem: z.catch(text, '') }),
  ),
  Targets: list(
    z.object({
      Address: text,
      Verdict: z.catch(z.enum([...verdicts, 'other']), 'other'),
      Sentence: text,
      Steps: list(z.object({ Priority: z.number(), Rule: text, Name: text, Won: z.boolean(), Why: text })),
      Losers: list(z.object({ Name: text, Prefix: text, Why: text })),
      Filter: list(text),
      Conflicts: list(text),
      Notes: list(text),
    }),
  ),
  Problems: list(text),
})

export function readExplanation(reply: unknown): Explained {
  const { Names, Targets, Problems } = parse(explainReply, reply)
  return {
    names:
      Names === undefined
        ? ''
        : [`${Names.Name}: ${Names.Addresses.join(', ')}`, Names.Why, Names.Problem].filter(Boolean).join(' · '),
    targets: Targets.map(({ Address, Verdict, Sentence, Steps, Losers, Filter, Conflicts, Notes }) => ({
      address: Address,
      verdict: Verdict,
      sentence: Sentence,
      steps: Steps.map(({ Priority, Rule, Name, Won, Why }) => ({
        priority: Priority,
        rule: Rule,
        name: Name,
        won: Won,
        why: Why,
      })),
      losers: Losers.map(({ Name, Prefix, Why }) => ({ name: Name, prefix: Prefix, why: Why })),
      notes: [...Conflicts, ...Filter, ...Notes],
    })),
    problems: Problems,
  }
}

function parse<T>(schema: z.ZodMiniType<T>, reply: unknown): T {
  const parsed = schema.safeParse(reply)
  if (parsed.success) return parsed.data
  throw new AppError('bad-reply', cleanText(z.prettifyError(parsed.error), 300))
}

/**
 * The daemon's diff as lines. What is only added cuts nothing off, and whoever switches one route off means just that
 * route.
 */
export function changeView({ Diff, Warnings }: ChangePreview, edit: NetworkEdit): ChangeView {
  const { Settings, ExitNode, Routes, Rules, Dns, Addresses, Forwarded, Connected } = Diff
  const lines: ChangeLine[] = []
  const add = (sign: ChangeLine['sign'], subject: ChangeLine['subject'], words: string) =>
    lines.push({ sign, subject, text: cleanText(words, 200) })
  const addList = <T>(subject: ChangeLine['subject'], { Added, Removed }: ListDelta<T>, words: (item: T) => string) => {
    for (const item of Removed) add('-', subject, words(item))
    for (const item of Added) add('+', subject, words(item))
  }
  if (ExitNode.Before.ID !== ExitNode.After.ID)
    add('~', 'exit-node', `${ExitNode.Before.Name || '–'} → ${ExitNode.After.Name || '–'}`)
  addList('route', Routes, ({ Prefix, ViaName }) => (ViaName === '' ? Prefix : `${Prefix} · ${ViaName}`))
  addList('rule', Rules, String)
  addList('address', Addresses, String)
  addList('dns', Dns.Servers, String)
  addList('dns', Dns.Search, String)
  addList('dns', Dns.Split, ({ Suffix, Servers }) => `${Suffix} · ${Servers.join(', ')}`)
  addList('forwarded', Forwarded, String)
  if (lines.length === 0)
    for (const { Name, Before, After } of Settings)
      add('~', 'setting', `${Name}: ${JSON.stringify(Before)} → ${JSON.stringify(After)}`)
  const meant = edit.kind === 'route' ? edit.prefix : undefined
  const losesRoutes = Routes.Removed.some(({ Prefix }) => Prefix !== meant)
  const isLost = losesRoutes || Rules.Removed.length > 0 || (Connected.Before && !Connected.After)
  return {
    lines,
    warnings: Warnings.map(({ Text }) => cleanText(Text, MAX_TEXT)),
    mayCut: Warnings.length > 0 || isLost || (ExitNode.After.Blocked && !ExitNode.Before.Blocked),
  }
}
