/** `pintail-control routes`: what computers offer to route, and who said yes. */
import { Command } from 'commander'
import { parsePrefix, prefixText } from '../../src-protocol/wire/ip.ts'
import type { NodeShape } from '../admin/shapes.ts'
import { EXIT_ROUTES } from '../routing/offers.ts'
import { type Output, table } from './output.ts'
import { type Common, client, json, path, verb } from './verb.ts'

type RouteOptions = Common & { exitNode?: true; all?: true }

export function routeCommands(output: Output): Command {
  const routes = new Command('routes').description('subnets and exit nodes that computers offer')
  routes.addCommand(
    verb(
      'list',
      'who offers which route, and what is in effect',
      'routes list',
      'routes list nas',
      'routes list --json',
    )
      .argument('[node]', 'name or id; without it all')
      .action(async (name: string | undefined, options: Common, command: Command) => {
        const nodes =
          name === undefined
            ? (await client(command).call<{ nodes: NodeShape[] }>('GET', '/node')).nodes
            : [(await client(command).call<{ node: NodeShape }>('GET', `/node/${path(name)}`)).node]
        const offers = nodes.flatMap(routeOffers)
        const rows = offers.map(({ node, route, approvedBy, state }) => [
          node,
          route,
          approvedBy ?? 'no',
          stateText[state],
        ])
        output.print(options.json ? json(offers) : table(['NODE', 'ROUTE', 'APPROVED', 'STATE'], rows))
      }),
  )
  routes.addCommand(
    verb(
      'approve',
      'let a computer route for the others',
      'routes approve nas 192.168.1.0/24',
      'routes approve vps --exit-node',
      'routes approve router --all',
    )
      .argument('<node>', 'name or id')
      .argument('[route...]', 'routes that it offers or may offer later')
      .option('--exit-node', 'the way to the internet: 0.0.0.0/0 and ::/0')
      .option('--all', 'everything that it offers now')
      .action(async (name: string, list: string[], options: RouteOptions, command: Command) => {
        const { after } = await editRoutes(command, name, (now) => {
          if (options.all && now.availableRoutes.length === 0)
            throw new Error(`${now.givenName} offers no routes; on it: pintail set --advertise-routes=…`)
          return [...now.approvedRoutes, ...namedRoutes(list, options, now.availableRoutes)]
        })
        output.print(options.json ? json(after) : routesText(after))
      }),
  )
  routes.addCommand(
    verb(
      'revoke',
      'take routes back from a computer',
      'routes revoke nas 192.168.1.0/24',
      'routes revoke vps --exit-node',
      'routes revoke router --all',
    )
      .argument('<node>', 'name or id')
      .argument('[route...]')
      .option('--exit-node', 'the way to the internet: 0.0.0.0/0 and ::/0')
      .option('--all', 'everything that was approved')
      .action(async (name: string, list: string[], options: RouteOptions, command: Command) => {
        const { before, after } = await editRoutes(command, name, (now) => {
          const wanted = namedRoutes(list, options, now.approvedRoutes)
          return now.approvedRoutes.filter((route) => !wanted.includes(route))
        })
        const wanted = namedRoutes(list, options, before.availableRoutes)
        const staying = after.autoApprovedRoutes.filter((route) => wanted.includes(route))
        const hint =
          staying.length === 0 ? '' : `\n${staying.join(', ')}: still approved by auto_approve in the configuration.`
        output.print(options.json ? json(after) : routesText(after) + hint)
      }),
  )
  return routes
}

const stateText = {
  'in-effect': 'in effect',
  'in-effect-offline': 'in effect, but its node is offline',
  'stands-by': 'stands by: another node has it',
  'waits-for-approval': 'waits for approval',
  'not-offered': 'not offered',
}

interface RouteOffer {
  readonly node: string
  readonly route: string
  readonly approvedBy: 'administrator' | 'configuration' | null
  readonly state: keyof typeof stateText
}

function routeOffers(node: NodeShape): RouteOffer[] {
  const all = [...new Set([...node.availableRoutes, ...node.approvedRoutes])].sort()
  return all.map((route) => {
    const isOurs = node.approvedRoutes.includes(route)
    const approvedBy = isOurs ? 'administrator' : node.autoApprovedRoutes.includes(route) ? 'configuration' : null
    return { node: node.givenName, route, approvedBy, state: stateOf(node, route, approvedBy !== null) }
  })
}

function stateOf(node: NodeShape, route: string, isApproved: boolean): RouteOffer['state'] {
  if (!node.availableRoutes.includes(route)) return 'not-offered'
  if (!isApproved) return 'waits-for-approval'
  if (!node.subnetRoutes.includes(route)) return 'stands-by'
  return node.online ? 'in-effect' : 'in-effect-offline'
}

function namedRoutes(list: readonly string[], options: RouteOptions, all: readonly string[]): string[] {
  if (list.length === 0 && !options.exitNode && !options.all)
    throw new Error('name the routes, or say --exit-node or --all')
  const routes = list.map(routeNamed)
  // an exit node is one for both families
  const isExit = options.exitNode || routes.some((route) => EXIT_ROUTES.includes(route))
  return [...routes, ...(isExit ? EXIT_ROUTES : []), ...(options.all ? all : [])]
}

function routeNamed(text: string): string {
  const prefix = parsePrefix(text)
  if (!prefix.ok) throw new Error(`"${text}" is no route; expected 10.0.0.0/8 or such`)
  return prefixText(prefix.value)
}

async function editRoutes(
  command: Command,
  name: string,
  edit: (now: NodeShape) => readonly string[],
): Promise<{ before: NodeShape; after: NodeShape }> {
  const door = client(command)
  const { node: before } = await door.call<{ node: NodeShape }>('GET', `/node/${path(name)}`)
  const body = { routes: edit(before) }
  const { node: after } = await door.call<{ node: NodeShape }>('POST', `/node/${path(name)}/approve_routes`, body)
  return { before, after }
}

function routesText(node: NodeShape): string {
  const used = node.subnetRoutes.length === 0 ? 'no routes' : node.subnetRoutes.join(', ')
  return `${node.givenName} routes ${used}.`
}
