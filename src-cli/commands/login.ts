/** `pintail login`: another account beside the present one. */

import { type Invocation, refuseArgs, type Verb } from '../verb.ts'
import { bringUp, bringUpFlags, readAuthKey, warnAboutSettings } from './bring-up.ts'
import { wantedPrefs } from './up.ts'

export const login: Verb = {
  name: 'login',
  summary: 'Log in to an account, beside the present one',
  details: 'Makes a new profile and logs it in; "pintail switch" goes back.',
  examples: ['pintail login', 'pintail login --login-server=https://control.example.com --nickname=work'],
  flags: [...bringUpFlags, { name: 'nickname', kind: 'text', help: 'short name for the account', default: '' }],
  run,
}

async function run(call: Invocation): Promise<undefined> {
  refuseArgs(call)
  const authKey = await readAuthKey(call)
  const client = await call.connect()
  await client.newProfile()
  const status = await client.status()
  const prefs = wantedPrefs(call, status)
  const { OperatorUser } = await client.prefs() // the new profile has him from the one before
  if (!call.flags.given('operator') && OperatorUser) prefs.OperatorUser = OperatorUser
  if (call.flags.given('nickname')) prefs.ProfileName = call.flags.text('nickname')
  const netfilter = call.flags.given('netfilter-mode')
  await warnAboutSettings(client, call.terminal, prefs, { netfilter, routes: true })
  await bringUp(call, { client, prefs, status, authKey, forceReauth: false, json: false })
}
