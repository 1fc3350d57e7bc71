/** What each call of the bridge may be given. The renderer is not trusted: unknown members and long texts are refused. */
import * as z from 'zod/mini'
import { languages, themes, trayStyles } from '../src-contract/app/app-state.ts'
import type { CallInput, CallName } from '../src-contract/bridge.ts'
import type { PrefixText } from '../src-contract/ids.ts'

const nothing = z.undefined()
const id = z.string().check(z.minLength(1), z.maxLength(128))
/** "" means the daemon's own default server. */
const controlUrl = z.string().check(
  z.maxLength(2048),
  z.refine((text) => text === '' || /^https?:\/\/[^\s/]+/i.test(text), 'not a web address'),
)

const prefix = z
  .string()
  .check(
    z.minLength(2),
    z.maxLength(50),
    z.regex(/^[0-9a-fA-F.:]+(\/\d{1,3})?$/),
  ) as unknown as z.ZodMiniType<PrefixText>
/** The daemon has the last word on what an entry may be. */
const entries = z.array(z.string().check(z.minLength(1), z.maxLength(255))).check(z.maxLength(200))
const networkEdit = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('route'), prefix, on: z.boolean() }),
  z.strictObject({ kind: z.literal('accept-routes'), on: z.boolean() }),
  z.strictObject({
    kind: z.literal('bypass'),
    setting: z.strictObject({
      Prefixes: z.array(prefix).check(z.maxLength(200)),
      Suffixes: entries,
      Interfaces: entries,
      Users: entries,
      Cgroups: entries,
    }),
  }),
])

export const callInputs: { [K in CallName]: z.ZodMiniType<CallInput<K>> } = {
  'state.watch': nothing,
  'connection.set': z.strictObject({ on: z.boolean() }),
  'signIn.browser': z.strictObject({ controlUrl }),
  'signIn.key': z.strictObject({ controlUrl, key: z.string().check(z.minLength(1), z.maxLength(4096)) }),
  'signIn.openPage': nothing,
  'signIn.cancel': nothing,
  signOut: nothing,
  'device.ping': z.strictObject({ id, type: z.enum(['disco', 'TSMP', 'ICMP', 'peerapi']) }),
  'exit.use': z.strictObject({
    choice: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('off') }),
      z.strictObject({ kind: z.literal('auto') }),
      z.strictObject({ kind: z.literal('last') }),
      z.strictObject({ kind: z.literal('node'), id }),
    ]),
  }),
  'exit.allowLan': z.strictObject({ on: z.boolean() }),
  'exit.takeOver': z.strictObject({ on: z.boolean() }),
  'exit.check': nothing,
  'network.read': nothing,
  'network.preview': z.strictObject({ edit: networkEdit }),
  'network.apply': z.strictObject({ edit: networkEdit, safely: z.boolean() }),
  'network.answer': z.strictObject({ id, keep: z.boolean() }),
  'route.explain': z.strictObject({ to: z.string().check(z.minLength(1), z.maxLength(255)) }),
  'clipboard.copy': z.strictObject({ text: z.string().check(z.minLength(1), z.maxLength(10_000)) }),
  'daemon.startPlan': nothing,
  'daemon.start': nothing,
  'daemon.retry': nothing,
  'settings.set': z.strictObject({
    language: z.optional(z.enum([...languages, 'system'])),
    theme: z.optional(z.enum(themes)),
    trayStyle: z.optional(z.enum(trayStyles)),
    whenClosed: z.optional(z.enum(['ask', 'keep', 'quit'])),
  }),
  'window.closeAnswer': z.strictObject({ choice: z.enum(['keep', 'quit']), remember: z.boolean() }),
  'about.facts': nothing,
  'window.painted': nothing,
}
