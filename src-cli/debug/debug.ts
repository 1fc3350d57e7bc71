/** `pintail debug`: questions asked in the field. Not a stable interface. */
import type { Verb } from '../verb.ts'
import { datapath } from './datapath.ts'
import { derpMap, localCreds, netmap, prefs } from './dumps.ts'
import { localapi } from './localapi.ts'
import { paths } from './paths.ts'
import { watchIpn } from './watch-ipn.ts'

export const debug: Verb = {
  name: 'debug',
  summary: 'Look inside the daemon',
  hidden: true,
  examples: ['pintail debug watch-ipn --initial', 'pintail debug paths nas', 'pintail debug localapi GET status'],
  verbs: [prefs, watchIpn, netmap, derpMap, localapi, paths, datapath, localCreds],
}
