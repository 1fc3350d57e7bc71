/** resolvconf(8) in its two kinds: which one is here, and the only words it ever hears from us. */
import { runProgram } from '../dns/run-program.ts'

export type ResolvconfStyle = 'debian' | 'openresolv'

/** Debian's sorts records by name: ours begins with `tun` and comes first. */
export const DEBIAN_RECORD = 'tun-pintail.inet'
export const OPENRESOLV_RECORD = 'pintail'
/** What older versions of Debian's say to `--version`. */
const DEBIAN_UNKNOWN_OPTION = 99

export function recordArguments(style: ResolvconfStyle, isAdded: boolean): readonly string[] {
  if (style === 'debian') return [isAdded ? '-a' : '-d', DEBIAN_RECORD]
  return isAdded ? ['-m', '0', '-x', '-a', OPENRESOLV_RECORD] : ['-f', '-d', OPENRESOLV_RECORD]
}

export async function resolvconfStyle(program: string | undefined): Promise<ResolvconfStyle | undefined> {
  if (program === undefined) return undefined
  const { status, output } = await runProgram(program, ['--version']).catch(() => ({ status: -1, output: '' }))
  if (status === DEBIAN_UNKNOWN_OPTION || output.startsWith('Debian')) return 'debian'
  return output.startsWith('openresolv') ? 'openresolv' : undefined // resolvectl answers to that name, too
}
