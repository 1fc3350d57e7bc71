/** `pintail file queue`: what the daemon keeps for devices that are not there. [docs/rules/cli.md CLI-9] */
import { LocalApiError } from '../../src-client/local-api-error.ts'
import type { QueuedTransfer } from '../../src-contract/localapi/files.ts'
import type { Status } from '../../src-contract/localapi/status.ts'
import { goJson } from '../text/go-json.ts'
import { alignTabs } from '../text/table.ts'
import { CommandError, type Invocation, refuseArgs } from '../verb.ts'
import { sizeText } from './file-progress.ts'
import { shortName } from './peer-names.ts'

export async function showQueue(call: Invocation): Promise<number> {
  refuseArgs(call)
  const { flags, terminal } = call
  const client = await call.connect()
  const id = flags.text('cancel')
  try {
    if (id !== '') {
      await client.cancelQueuedFile(id)
      return 0
    }
    const files = await client.queuedFiles()
    if (flags.bool('json')) terminal.out(`${goJson(files, '  ')}\n`)
    else if (files.length === 0) terminal.out('No files wait.\n')
    else terminal.out(queueTable(files, await client.status()))
    return 0
  } catch (error) {
    if (!(error instanceof LocalApiError) || error.code !== 'not-found') throw error
    if (id === '') throw new CommandError('this daemon cannot keep files; pintaild can')
    throw new CommandError(`no file with the id ${JSON.stringify(id)} waits (pintail file queue)`)
  }
}

function queueTable(files: readonly QueuedTransfer[], status: Status): string {
  const names = new Map(
    Object.values(status.Peer ?? {}).map((peer) => [peer.ID, shortName(peer.DNSName, status.MagicDNSSuffix)]),
  )
  const rows = files.map(({ ID, PeerID, Name, Size, State, Expires, LastError }) => {
    const state = LastError === undefined ? State : `${State}: ${LastError}`
    return [ID, names.get(PeerID) ?? PeerID, Name, sizeText(Size), Expires.slice(0, 16).replace('T', ' '), state].join(
      '\t',
    )
  })
  return alignTabs(`${['ID', 'TO', 'NAME', 'SIZE', 'UNTIL (UTC)', 'STATE'].join('\t')}\n${rows.join('\n')}\n`, {
    padding: 2,
  })
}
