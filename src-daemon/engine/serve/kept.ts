/** What a profile keeps of serving, as it is written down. Pure. [docs/rules/serve.md SVE-1, SVE-9] */
import type { ServeConfig } from '../../../src-contract/localapi/serve.ts'
import { parseServeConfig } from '../../../src-protocol/machines/serve/config.ts'
import { bad, type Decoded, ok } from '../../../src-protocol/wire/decoded.ts'
import { isJsonObject } from '../../../src-protocol/wire/json.ts'
import type { FileOwner } from '../../io/serve/file-servers.ts'

export interface KeptServe {
  readonly config: ServeConfig
  readonly owners: FileOwners
}

/** Whose rights files are read with, by server and mount: "nas.example.net:80/docs". */
export type FileOwners = { readonly [key: string]: FileOwner }

export const nothingServed: KeptServe = { config: {}, owners: {} }

export function parseKeptServe(value: unknown): Decoded<KeptServe> {
  if (!isJsonObject(value) || !isJsonObject(value.owners)) return bad('it is no object')
  const config = parseServeConfig(value.config)
  if (!config.ok) return config
  const owners: { [key: string]: FileOwner } = {}
  for (const [key, owner] of Object.entries(value.owners)) {
    if (!isJsonObject(owner) || !isId(owner.uid) || !isId(owner.gid)) return bad('an owner of files is unreadable')
    owners[key] = { uid: owner.uid, gid: owner.gid }
  }
  return ok({ config: config.value, owners })
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Who set a handler is whose files it serves; a handler that stays as it was keeps its owner. */
export function ownersAfter(before: KeptServe, next: ServeConfig, caller: FileOwner): FileOwners {
  const known = pathsOf(before.config)
  const owners: { [key: string]: FileOwner } = {}
  for (const [key, path] of pathsOf(next)) owners[key] = (known.get(key) === path && before.owners[key]) || caller
  return owners
}

/** Files and folders, by server and mount. */
export function pathsOf(config: ServeConfig): ReadonlyMap<string, string> {
  const paths = new Map<string, string>()
  for (const { Web = {} } of [config, ...Object.values(config.Foreground ?? {})])
    for (const [server, { Handlers }] of Object.entries(Web))
      for (const [mount, { Path }] of Object.entries(Handlers))
        if (Path !== undefined) paths.set(`${server}${mount}`, Path)
  return paths
}
