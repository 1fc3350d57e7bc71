/** The commands done by this very process: in a daemon that runs as root, and at the end of the helper's socket. */
import { formatResolvConf } from '../../../src-protocol/wire/resolv-conf.ts'
import { findProgram, runProgram } from '../dns/run-program.ts'
import { errorText } from '../log/log.ts'
import type { ResolverSettings, RootCommand, RootHelper, RootResult } from './port.ts'
import { ResolvConfFile } from './resolv-conf-file.ts'
import { recordArguments, resolvconfStyle } from './resolvconf-program.ts'

export interface DirectOptions {
  readonly folder?: string
  /** Where programs are. */
  readonly programFolders?: readonly string[]
}

export function directRootHelper(options: DirectOptions = {}): RootHelper {
  const { folder = '/etc', programFolders } = options
  const file = new ResolvConfFile(folder)

  async function record(settings: ResolverSettings | undefined): Promise<void> {
    const program = await findProgram('resolvconf', programFolders)
    const style = await resolvconfStyle(program)
    if (program === undefined || style === undefined) throw new Error('resolvconf is not installed')
    const text = settings === undefined ? '' : formatResolvConf(settings, 'the other records of resolvconf')
    const { status, complaint } = await runProgram(program, recordArguments(style, settings !== undefined), text)
    if (status !== 0) throw new Error(`resolvconf: ${complaint.trim().slice(0, 300) || `status ${status}`}`)
  }

  async function perform(command: RootCommand): Promise<void> {
    switch (command.verb) {
      case 'write-resolv-conf':
        return file.write(command)
      case 'restore-resolv-conf':
        return file.restore()
      case 'add-resolvconf-record':
        return record(command)
      case 'delete-resolvconf-record':
        return record(undefined)
    }
  }

  return {
    run: (command): Promise<RootResult> =>
      perform(command).then(
        () => ({ kind: 'done' }),
        (error) => ({ kind: 'failed', message: errorText(error) }),
      ),
  }
}
