/** The administration API: a table of routes over the registry. It knows nothing of sockets (`admin/socket.ts`). */
import { z } from 'zod'
import { parsePrefix, prefixText } from '../../src-protocol/wire/ip.ts'
import { parseDurationMs } from '../config/duration.ts'
import type { Reloaded } from '../config/live.ts'
import { ConfigError } from '../config/load.ts'
import type { PendingLogins } from '../control/pending-logins.ts'
import type { MapContext } from '../mapper/node.ts'
import type { Outcome, RefusalCode } from '../registry/outcome.ts'
import type { Registry } from '../registry/registry.ts'
import { keyShape, nodeShape, userShape } from './shapes.ts'

export interface AdminDoor {
  readonly registry: Registry
  readonly pending: PendingLogins
  readonly context: MapContext
  readonly defaultKeyLifeMs: number
  readonly version: string
  /** Throws ConfigError. */
  readonly reload: () => Reloaded
  readonly health: () => { readonly [name: string]: unknown }
}

/** An error document of RFC 9457. */
export class AdminProblem extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const statusOf: { readonly [code in RefusalCode]: number } = {
  'not-found': 404,
  exists: 409,
  invalid: 400,
  'in-use': 409,
  exhausted: 409,
}

function must<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value
  throw new AdminProblem(statusOf[outcome.code], outcome.message)
}

function parse<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const result = schema.safeParse(body ?? {})
  if (result.success) return result.data
  throw new AdminProblem(
    400,
    result.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`).join('; '),
  )
}

const newUser = z.object({
  name: z.string(),
  displayName: z.string().max(200).optional(),
  email: z.string().max(200).optional(),
})
const newKey = z.object({
  user: z.string().optional(),
  reusable: z.boolean().default(false),
  ephemeral: z.boolean().default(false),
  /** A time, a length of time, or `never`. */
  expiration: z.string().optional(),
  aclTags: z.array(z.string()).default([]),
})
const withId = z.object({ id: z.union([z.string(), z.number()]) })
const registration = z.object({ authId: z.string(), user: z.string() })
const expiry = z.object({ expiry: z.string().nullish(), disableExpiry: z.boolean().optional() })

const approval = z.object({
  routes: z
    .array(
      z.string().transform((text, context) => {
        const prefix = parsePrefix(text)
        if (prefix.ok) return prefixText(prefix.value)
        context.addIssue({ code: 'custom', message: `"${text.slice(0, 60)}" is no route; expected 10.0.0.0/8 or such` })
        return z.NEVER
      }),
    )
    .max(512),
})

interface Call {
  readonly door: AdminDoor
  readonly parts: readonly string[]
  readonly query: URLSearchParams
  readonly body: unknown
}
type Answer = Promise<object> | object

/** Method and path; `*` is one part that lands in `parts`. */
const routes: { readonly [route: string]: (call: Call) => Answer } = {
  'GET /health': ({ door }) => ({ databaseConnectivity: true, ...door.health() }),
  'GET /version': ({ door }) => ({ version: door.version, node: process.version }),
  'POST /reload': ({ door }) => {
    try {
      return door.reload()
    } catch (error) {
      if (error instanceof ConfigError) throw new AdminProblem(400, error.message)
      throw error
    }
  },
  'GET /user': ({ door }) => ({ users: [...door.registry.users.values()].map(userShape) }),
  'POST /user': async ({ door, body }) => {
    const { name, displayName, email } = parse(newUser, body)
    const wish = {
      name,
      ...(displayName === undefined ? {} : { displayName }),
      ...(email === undefined ? {} : { email }),
    }
    return { user: userShape(must(await door.registry.createUser(wish))) }
  },
  'DELETE /user/*': async ({ door, parts }) => ({
    user: userShape(must(await door.registry.destroyUser(findUser(door, parts[0]!).id))),
  }),
  'GET /preauthkey': ({ door }) => ({
    preAuthKeys: [...door.registry.keys.values()].map((key) => keyShape(door.registry, key)),
  }),
  'POST /preauthkey': async ({ door, body }) => {
    const wish = parse(newKey, body)
    const user = wish.user === undefined ? {} : { userId: findUser(door, wish.user).id }
    const expiresAt = momentOf(door, wish.expiration, door.defaultKeyLifeMs)
    const made = must(
      await door.registry.createKey({
        ...user,
        tags: wish.aclTags,
        reusable: wish.reusable,
        ephemeral: wish.ephemeral,
        expiresAt,
      }),
    )
    return { preAuthKey: keyShape(door.registry, made.key, made.text) }
  },
  'POST /preauthkey/expire': async ({ door, body }) => {
    const id = Number(parse(withId, body).id)
    return { preAuthKey: keyShape(door.registry, must(await door.registry.expireKey(id))) }
  },
  'GET /node': ({ door, query }) => {
    const owner = query.get('user')
    const userId = owner === null ? undefined : findUser(door, owner).id
    const nodes = [...door.registry.nodes.values()].filter((node) => userId === undefined || node.userId === userId)
    return { nodes: nodes.map((node) => nodeShape(door.registry, door.context, node)) }
  },
  'GET /node/*': ({ door, parts }) => ({ node: nodeShape(door.registry, door.context, findNode(door, parts[0]!)) }),
  'DELETE /node/*': async ({ door, parts }) => {
    const node = must(await door.registry.deleteNode(findNode(door, parts[0]!).id))
    return { node: nodeShape(door.registry, door.context, node) }
  },
  'POST /node/*/expire': async ({ door, parts, body }) => {
    const wish = parse(expiry, body)
    const at = wish.disableExpiry ? null : momentOf(door, wish.expiry ?? undefined, 0)
    const node = must(await door.registry.setExpiry(findNode(door, parts[0]!).id, at))
    return { node: nodeShape(door.registry, door.context, node) }
  },
  'POST /node/*/approve_routes': async ({ door, parts, body }) => {
    const { routes } = parse(approval, body)
    const node = must(await door.registry.approveRoutes(findNode(door, parts[0]!).id, routes))
    return { node: nodeShape(door.registry, door.context, node) }
  },
  'POST /node/*/rename/*': async ({ door, parts }) => {
    const node = must(await door.registry.rename(findNode(door, parts[0]!).id, parts[1]!))
    return { node: nodeShape(door.registry, door.context, node) }
  },
  'POST /auth/register': async ({ door, body }) => {
    const { authId, user } = parse(registration, body)
    const login = door.pending.get(authId.split('/').at(-1) ?? '')
    if (login === undefined)
      throw new AdminProblem(404, 'no login with this id is waiting; links are valid for 15 minutes')
    const { machineKey, nodeKey, hostinfo, capVersion } = login
    const owner = { userId: findUser(door, user).id }
    const node = must(await door.registry.register({ machineKey, nodeKey, hostinfo, capVersion, owner, method: 'cli' }))
    door.pending.settle(login.id)
    return { node: nodeShape(door.registry, door.context, node) }
  },
}

const table = Object.entries(routes).map(([route, run]) => {
  const [method, path] = route.split(' ') as [string, string]
  return { method, pattern: new RegExp(`^/api/v1${path.replaceAll('*', '([^/]+)')}$`), run }
})

export async function answerAdmin(
  door: AdminDoor,
  method: string,
  path: string,
  query: URLSearchParams,
  body: unknown,
): Promise<object> {
  const matches = table.flatMap((row) => {
    const match = row.pattern.exec(path)
    return match === null ? [] : [{ ...row, parts: match.slice(1).map(decodePart) }]
  })
  const row = matches.find((candidate) => candidate.method === method)
  if (row !== undefined) return row.run({ door, parts: row.parts, query, body })
  if (matches.length > 0) throw new AdminProblem(405, `${path} does not take ${method}`)
  throw new AdminProblem(404, `there is nothing at ${path}`)
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    throw new AdminProblem(400, `unreadable path part: ${(error as Error).message}`)
  }
}

/** By name or id. */
function findUser(door: AdminDoor, text: string) {
  const user =
    door.registry.userByName(text) ?? (/^\d{1,15}$/.test(text) ? door.registry.users.get(Number(text)) : undefined)
  if (user === undefined) throw new AdminProblem(404, `there is no user "${text}"`)
  return user
}

/** By id, or by its name in the network. */
function findNode(door: AdminDoor, text: string) {
  const byId = /^\d{1,15}$/.test(text) ? door.registry.nodes.get(Number(text)) : undefined
  const node = byId ?? [...door.registry.nodes.values()].find((candidate) => candidate.givenName === text.toLowerCase())
  if (node === undefined) throw new AdminProblem(404, `there is no node "${text}"`)
  return node
}

/** A moment given as RFC 3339, as a length of time from now, or as `never`. */
function momentOf(door: AdminDoor, text: string | undefined, defaultMs: number): number | null {
  const now = door.context.now()
  if (text === undefined) return now + defaultMs
  if (text === 'never') return null
  const length = parseDurationMs(text)
  if (length !== undefined) return now + length
  const at = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at))
    throw new AdminProblem(
      400,
      `"${text}" is neither a time (2030-01-31T12:00:00Z), nor a length of time (24h, 90d), nor "never"`,
    )
  return at
}
