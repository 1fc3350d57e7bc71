/** `pintail cert`: this machine's certificate as files, for programs that do TLS themselves. [docs/rules/certificates.md CRT-5] */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { isLocalApiError } from '../../src-client/local-api-error.ts'
import { CommandError, type Invocation, type Verb } from '../verb.ts'

export const cert: Verb = {
  name: 'cert',
  summary: "Get this machine's certificate and key as files",
  args: '[name]',
  details: 'Programs that do TLS themselves can use it; "pintail serve" needs no files. "-" writes to standard output.',
  examples: ['sudo pintail cert', 'sudo pintail cert --cert-file=/etc/web/nas.crt --key-file=/etc/web/nas.key'],
  flags: [
    {
      name: 'cert-file',
      kind: 'text',
      help: 'where to write the certificate; "-" = standard output (default NAME.crt)',
    },
    { name: 'key-file', kind: 'text', help: 'where to write the key; "-" = standard output (default NAME.key)' },
    { name: 'min-validity', kind: 'duration', help: 'renew it first when it holds for less than this', default: 0 },
  ],
  async run(call) {
    const { args, flags, terminal } = call
    if (args.length > 1) throw new CommandError('one name at a time')
    const client = await call.connect()
    const name = args[0] ?? (await client.status({ peers: false })).Self?.DNSName.replace(/\.$/, '') ?? ''
    if (name === '') throw new CommandError('this machine has no name in a network; run: pintail up')
    const pair = await client.certificate(name, flags.ms('min-validity')).catch((error: unknown) => {
      throw isLocalApiError(error, 'failed') ? new CommandError((error as Error).message) : error
    })
    const at = pair.indexOf('-----BEGIN CERTIFICATE-----')
    if (at < 0) throw new CommandError('the daemon answered with something else')
    const files = [
      { what: 'public cert', path: flags.text('cert-file') || `${name}.crt`, text: pair.slice(at), mode: 0o644 },
      { what: 'private key', path: flags.text('key-file') || `${name}.key`, text: pair.slice(0, at), mode: 0o600 },
    ]
    for (const file of files) await put(terminal, file)
    return 0
  },
}

interface OutputFile {
  readonly what: string
  readonly path: string
  readonly text: string
  readonly mode: number
}

async function put(terminal: Invocation['terminal'], { what, path, text, mode }: OutputFile): Promise<void> {
  if (path === '-') return terminal.out(text)
  const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new CommandError(`${path} cannot be read: ${error.message}`)
  })
  if (before === text) return terminal.out(`${capital(what)} unchanged at ${path}\n`)
  try {
    await writeFile(`${path}.new`, text, { mode })
    await rename(`${path}.new`, path)
  } catch (error) {
    throw new CommandError(`${path} cannot be written: ${(error as Error).message}`)
  }
  terminal.out(`Wrote ${what} to ${path}\n`)
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
