/**
 * Makes the WireGuard clock of a daemon run 30 times faster: `node --import lab/fast-wireguard.ts …`. The times of the
 * protocol are divided as the constants are loaded; the product has no knob for it. Whatever is not in the paper (paths,
 * relays, what counts as load) keeps its pace, as it does in the stock programs that `npm run peers` builds likewise.
 *
 * The data path's own limit on a keypair's age stays at 180 s: the machine drops keypairs first, as it always does.
 */
import { registerHooks } from 'node:module'
import { WIREGUARD_SPEED } from './fast-speed.ts'

const times = [
  'REKEY_AFTER_TIME_MS',
  'REJECT_AFTER_TIME_MS',
  'REKEY_TIMEOUT_MS',
  'REKEY_JITTER_MS',
  'KEEPALIVE_TIMEOUT_MS',
  'COOKIE_REFRESH_MS',
]

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (!url.endsWith('/src-protocol/machines/wireguard/constants.ts')) return loaded
    if (loaded.source === undefined || loaded.source === null) throw new Error(`${url} has no source`)
    const text = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source)
    return { ...loaded, source: times.reduce(quicken, text) }
  },
})

function quicken(text: string, name: string): string {
  const line = new RegExp(`^(export const ${name} = [\\d_]+)$`, 'm')
  if (!line.test(text)) throw new Error(`the constants of WireGuard have changed: no ${name}`)
  return text.replace(line, `$1 / ${WIREGUARD_SPEED}`)
}
