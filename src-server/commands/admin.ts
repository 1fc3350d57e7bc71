/** The verbs that talk to a running server over its administration socket. */
import { Command, InvalidArgumentError } from 'commander'
import type { KeyShape, NodeShape, UserShape } from '../admin/shapes.ts'
import type { Reloaded } from '../config/live.ts'
import { type Output, shortTime, table } from './output.ts'
import { type Common, client, json, path, verb } from './verb.ts'

function list(value: string, previous: string[] = []): string[] {
  return [...previous, ...value.split(',').filter((word) => word !== '')]
}

function integer(value: string): string {
  if (!/^\d+$/.test(value)) throw new InvalidArgumentError('expected a number')
  return value
}

export function userCommands(output: Output): Command {
  const users = new Command('users').description('who owns nodes')
  users.addCommand(
    verb(
      'create',
      'add a user',
      'users create alice',
      'users create alice --display-name "Alice Liddell" --email alice@example.com',
    )
      .argument('<name>')
      .option('-d, --display-name <text>')
      .option('-e, --email <address>')
      .action(async (name: string, options: Common & { displayName?: string; email?: string }, command: Command) => {
        const { displayName, email } = options
        const answer = await client(command).call<{ user: UserShape }>('POST', '/user', { name, displayName, email })
        output.print(options.json ? json(answer.user) : `User ${answer.user.name} has id ${answer.user.id}.`)
      }),
  )
  users.addCommand(
    verb('list', 'show all users', 'users list', 'users list --json').action(
      async (options: Common, command: Command) => {
        const answer = await client(command).call<{ users: UserShape[] }>('GET', '/user')
        const rows = answer.users.map((user) => [
          user.id,
          user.name,
          user.email || '-',
          shortTime(user.createdAt),
          user.displayName || '-',
        ])
        output.print(
          options.json ? json(answer.users) : table(['ID', 'NAME', 'EMAIL', 'CREATED', 'DISPLAY NAME'], rows),
        )
      },
    ),
  )
  users.addCommand(
    verb('destroy', 'remove a user who owns no nodes, with all pre-auth keys', 'users destroy alice')
      .argument('<name>', 'name or id')
      .action(async (name: string, options: Common, command: Command) => {
        const answer = await client(command).call<{ user: UserShape }>('DELETE', `/user/${path(name)}`)
        output.print(options.json ? json(answer.user) : `User ${answer.user.name} is gone.`)
      }),
  )
  return users
}

export function keyCommands(output: Output): Command {
  const keys = new Command('preauthkeys').description('keys that let computers join without a person')
  keys.addCommand(
    verb(
      'create',
      'make a key; it is shown only now',
      'preauthkeys create --user alice',
      'preauthkeys create --user alice --reusable --expiration 30d',
      'preauthkeys create --tags tag:server --ephemeral --reusable --expiration never',
    )
      .option('-u, --user <name>', 'who will own the nodes (name or id)')
      .option('--reusable', 'for any number of computers')
      .option('--ephemeral', 'its nodes are removed after being offline for a while')
      .option(
        '-e, --expiration <when>',
        'how long it is valid: 1h, 30d, a time, or never (default: preauth_keys.expiration)',
      )
      .option('-t, --tags <tags>', 'its nodes get these tags and no owner; comma-separated', list)
      .action(
        async (
          options: Common & { user?: string; reusable?: true; ephemeral?: true; expiration?: string; tags?: string[] },
          command: Command,
        ) => {
          const { user, expiration } = options
          const body = {
            user,
            expiration,
            reusable: options.reusable ?? false,
            ephemeral: options.ephemeral ?? false,
            aclTags: options.tags ?? [],
          }
          const answer = await client(command).call<{ preAuthKey: KeyShape }>('POST', '/preauthkey', body)
          output.print(options.json ? json(answer.preAuthKey) : answer.preAuthKey.key)
        },
      ),
  )
  keys.addCommand(
    verb('list', 'show all keys, without their secret part', 'preauthkeys list').action(
      async (options: Common, command: Command) => {
        const answer = await client(command).call<{ preAuthKeys: KeyShape[] }>('GET', '/preauthkey')
        const rows = answer.preAuthKeys.map((key) => [
          key.id,
          key.key,
          key.user?.name ?? '-',
          [key.reusable ? 'reusable' : '', key.ephemeral ? 'ephemeral' : '', key.used ? 'used' : '']
            .filter(Boolean)
            .join(',') || '-',
          key.expiration === null ? 'never' : shortTime(key.expiration),
          key.aclTags.join(',') || '-',
        ])
        output.print(
          options.json ? json(answer.preAuthKeys) : table(['ID', 'KEY', 'USER', 'KIND', 'EXPIRES', 'TAGS'], rows),
        )
      },
    ),
  )
  keys.addCommand(
    verb('expire', 'make a key invalid now; its nodes stay', 'preauthkeys expire 3')
      .argument('<id>', 'from "preauthkeys list"', integer)
      .action(async (id: string, options: Common, command: Command) => {
        const answer = await client(command).call<{ preAuthKey: KeyShape }>('POST', '/preauthkey/expire', { id })
        output.print(options.json ? json(answer.preAuthKey) : `Key ${answer.preAuthKey.id} is no longer valid.`)
      }),
  )
  return keys
}

export function nodeCommands(output: Output): Command {
  const nodes = new Command('nodes').description('the computers in the network')
  const say = (options: Common, answer: { node: NodeShape }, text: (node: NodeShape) => string) =>
    output.print(options.json ? json(answer.node) : text(answer.node))
  nodes.addCommand(
    verb('list', 'show all nodes', 'nodes list', 'nodes list --user alice --json')
      .option('-u, --user <name>', 'only those of this user')
      .action(async (options: Common & { user?: string }, command: Command) => {
        const query = options.user === undefined ? '' : `?user=${path(options.user)}`
        const answer = await client(command).call<{ nodes: NodeShape[] }>('GET', `/node${query}`)
        output.print(options.json ? json(answer.nodes) : nodeTable(answer.nodes))
      }),
  )
  nodes.addCommand(
    verb(
      'register',
      'let a waiting computer in; its login page shows the id',
      'nodes register --id 0123456789abcdef01234567 --user alice',
    )
      .requiredOption('-i, --id <id>', 'the id at the end of the login link, or the whole link')
      .requiredOption('-u, --user <name>', 'who will own it (name or id)')
      .action(async (options: Common & { id: string; user: string }, command: Command) => {
        const answer = await client(command).call<{ node: NodeShape }>('POST', '/auth/register', {
          authId: options.id,
          user: options.user,
        })
        say(options, answer, (node) => `${node.givenName} (${node.ipAddresses.join(', ')}) is in the network.`)
      }),
  )
  nodes.addCommand(
    verb(
      'expire',
      'end a login: the computer has to sign in again',
      'nodes expire laptop',
      'nodes expire laptop --at 2030-01-31T00:00:00Z',
      'nodes expire laptop --never',
    )
      .argument('<node>', 'name or id')
      .option('--at <when>', 'a time, or a length of time such as 30d')
      .option('--never', 'the login lasts for ever')
      .action(async (name: string, options: Common & { at?: string; never?: true }, command: Command) => {
        const body = { expiry: options.at, disableExpiry: options.never ?? false }
        const answer = await client(command).call<{ node: NodeShape }>('POST', `/node/${path(name)}/expire`, body)
        say(options, answer, (node) =>
          node.expiry === null
            ? `${node.givenName} never has to sign in again.`
            : `The login of ${node.givenName} ends at ${node.expiry}.`,
        )
      }),
  )
  nodes.addCommand(
    verb('delete', 'remove a computer from the network', 'nodes delete laptop')
      .argument('<node>', 'name or id')
      .action(async (name: string, options: Common, command: Command) => {
        const answer = await client(command).call<{ node: NodeShape }>('DELETE', `/node/${path(name)}`)
        say(options, answer, (node) => `${node.givenName} is no longer in the network.`)
      }),
  )
  nodes.addCommand(
    verb('rename', 'give a computer another name in the network', 'nodes rename laptop-1 desk')
      .argument('<node>', 'name or id')
      .argument('<name>', 'the new name')
      .action(async (name: string, newName: string, options: Common, command: Command) => {
        const answer = await client(command).call<{ node: NodeShape }>(
          'POST',
          `/node/${path(name)}/rename/${path(newName)}`,
        )
        say(options, answer, (node) => `It is now ${node.fqdn}`)
      }),
  )
  return nodes
}

function nodeTable(nodes: readonly NodeShape[]): string {
  const rows = nodes.map((node) => [
    node.id,
    node.givenName,
    node.ipAddresses.join(' '),
    node.user?.name ?? (node.tags.join(',') || '-'),
    node.expired ? 'expired' : node.online ? 'online' : 'offline',
    node.online ? 'now' : shortTime(node.lastSeen),
    node.expiry === null ? 'never' : shortTime(node.expiry),
  ])
  return table(['ID', 'NAME', 'ADDRESSES', 'OWNER', 'STATE', 'LAST SEEN', 'EXPIRES'], rows)
}

export function reloadCommand(output: Output): Command {
  return verb(
    'reload',
    'have the running server read its config file again: DNS, auto_approve, node_attributes, relays (as SIGHUP does)',
    'reload',
    'reload --json',
  ).action(async (options: Common, command: Command) => {
    const answer = await client(command).call<Reloaded>('POST', '/reload')
    const lines = [
      answer.applied.length === 0 ? 'Nothing to take over.' : `In effect: ${answer.applied.join(', ')}.`,
      ...(answer.needsRestart.length === 0 ? [] : [`Waits for a restart: ${answer.needsRestart.join(', ')}.`]),
      ...answer.warnings.map((warning) => `Warning: ${warning}.`),
    ]
    output.print(options.json ? json(answer) : lines.join('\n'))
  })
}

export function healthCommand(output: Output): Command {
  return verb(
    'health',
    'ask the server how it is; exit status 1 when it does not answer',
    'health',
    'health --json',
  ).action(async (options: Common, command: Command) => {
    const answer = await client(command).call<{ [name: string]: unknown }>('GET', '/health')
    output.print(
      options.json
        ? json(answer)
        : Object.entries(answer)
            .map(([name, value]) => `${name}: ${String(value)}`)
            .join('\n'),
    )
  })
}
