/** What each call of the bridge may be given. The renderer is not trusted: unknown members and long texts are refused. */
import * as z from 'zod/mini'
import { languages, themes, trayStyles } from '../src-contract/app/app-state.ts'
import type { CallInput, CallName } from '../src-contract/bridge.ts'

const nothing = z.undefined()
const id = z.string().check(z.minLength(1), z.maxLength(128))
/** "" means the daemon's own default server. */
const controlUrl = z.string().check(
  z.maxLength(2048),
  z.refine((text) => text === '' || /^https?:\/\/[^\s/]+/i.test(text), 'not a web address'),
)

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
