/** `pintail trust`: have this machine trust the network's own certificate authority. [docs/rules/certificates.md CRT-6] */
import { X509Certificate } from 'node:crypto'
import type { LocalClient } from '../../src-client/local-client.ts'
import { goJson } from '../text/go-json.ts'
import { CommandError, refuseArgs, type Verb } from '../verb.ts'
import { findTrustStore, type TrustStore } from './trust-store.ts'

export const trust: Verb = {
  name: 'trust',
  summary: "Trust this network's own certificate authority",
  details:
    'It can vouch for names of this network only. Programs that use the system\'s list trust it from then on; Firefox does on most systems, Chromium has a list of its own ("certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n pintail -i FILE").',
  examples: ['sudo pintail trust install', 'pintail trust show', 'sudo pintail trust remove'],
  verbs: [
    {
      name: 'show',
      summary: 'Show the authority, and whether this machine trusts it',
      examples: ['pintail trust show', 'pintail trust show --pem > network.crt'],
      flags: [
        { name: 'json', kind: 'bool', help: 'print JSON', default: false },
        { name: 'pem', kind: 'bool', help: 'print the certificate itself', default: false },
      ],
      async run(call) {
        refuseArgs(call)
        const { flags, terminal } = call
        const { pem, root, domain } = await authority(await call.connect())
        const isTrusted = (await findTrustStore())?.holds(domain, pem) ?? false
        if (flags.bool('pem')) terminal.out(pem)
        else if (flags.bool('json'))
          terminal.out(
            `${goJson({ Domain: domain, SHA256: root.fingerprint256, Until: root.validToDate, Trusted: isTrusted })}\n`,
          )
        else
          terminal.out(
            `Vouches for: ${domain} and names below\nSHA-256:     ${root.fingerprint256}\nUntil:       ${root.validToDate.toISOString().slice(0, 10)}\nTrusted:     ${isTrusted ? "yes, by programs that use the system's list" : 'no (sudo pintail trust install)'}\n`,
          )
        return 0
      },
    },
    {
      name: 'install',
      summary: 'Put it into the list of this machine',
      examples: ['sudo pintail trust install'],
      async run(call) {
        refuseArgs(call)
        const { pem, domain } = await authority(await call.connect())
        await (await storeForRoot(call.terminal.uid, 'install')).add(domain, pem)
        call.terminal.out(`This machine trusts names of ${domain} now. Take it back with: sudo pintail trust remove\n`)
        return 0
      },
    },
    {
      name: 'remove',
      summary: 'Take it out of the list again',
      args: '[domain]',
      examples: ['sudo pintail trust remove', 'sudo pintail trust remove old.example.net'],
      async run(call) {
        if (call.args.length > 1) throw new CommandError('one domain at a time')
        const store = await storeForRoot(call.terminal.uid, 'remove')
        const domain = call.args[0] ?? (await authority(await call.connect())).domain
        const wasThere = await store.remove(domain)
        call.terminal.out(wasThere ? `This machine trusts ${domain} no more.\n` : `${domain} was not trusted.\n`)
        return 0
      },
    },
  ],
}

async function authority(client: LocalClient): Promise<{ pem: string; root: X509Certificate; domain: string }> {
  const known = await client.pintailAuthority()
  if (known === undefined) throw new CommandError('this daemon knows of no such authority')
  if (known.Root === '') throw new CommandError('this network has no certificate authority of its own')
  return {
    pem: known.Root,
    root: new X509Certificate(known.Root),
    domain: known.Name.slice(known.Name.indexOf('.') + 1),
  }
}

async function storeForRoot(uid: number, verb: string): Promise<TrustStore> {
  if (uid !== 0) throw new CommandError(`the list of this machine is root's: sudo pintail trust ${verb}`)
  const store = await findTrustStore()
  if (store === undefined)
    throw new CommandError(
      'this system keeps its list in no place that is known here; "pintail trust show --pem" prints the certificate',
    )
  return store
}
